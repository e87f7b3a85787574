from __future__ import annotations

from pathlib import Path

import pytest

from jan_core.errors import InvalidRequest, ModelNotFound
from jan_core.testing.memory import ModelsInMemory, Names
from jan_core.testing.wired import wired
from tests.pinned import spec


@pytest.mark.anyio
async def test_models_are_listed_in_order_found_located_and_removed() -> None:
    models = ModelsInMemory({"b": "red", "a": None})
    listed = await models.list()
    spec().validate("GET", "/v1/models", 200, listed.model_dump(mode="json"))
    assert [model.id for model in listed.data] == ["a", "b"]
    assert (await models.retrieve("a")).id == "a"
    located = await models.locate("b")
    assert (located.id, located.engine) == ("b", "red")
    assert (await models.locate("a")).engine is None
    deleted = await models.delete("b")
    assert (deleted.id, deleted.deleted) == ("b", True)
    assert [model.id for model in (await models.list()).data] == ["a"]
    for call in (models.retrieve("b"), models.locate("b"), models.delete("b")):
        with pytest.raises(ModelNotFound, match="'b'") as caught:
            await call
        assert caught.value.param == "model"


@pytest.mark.anyio
async def test_apps_on_one_root_share_their_models(tmp_path: Path) -> None:
    async with wired(tmp_path / "a") as first, wired(tmp_path / "a") as second, wired(tmp_path / "b") as elsewhere:
        await first.models.delete("scripted")
        assert (await second.models.list()).data == []
        assert [model.id for model in (await elsewhere.models.list()).data] == ["scripted"]
        assert (await elsewhere.models.locate("scripted")).engine == "scripted"


@pytest.mark.anyio
async def test_a_damaged_model_and_another_version() -> None:
    names = Names({"a": None})
    models = ModelsInMemory(names)
    before = (await models.locate("a")).revision
    names.versions["a"] = 1
    assert (await models.locate("a")).revision != before
    names.damaged.add("a")
    with pytest.raises(InvalidRequest, match="damaged"):
        await models.retrieve("a")
    await models.delete("a")
