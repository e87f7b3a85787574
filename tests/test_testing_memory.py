from __future__ import annotations

import pytest

from jan_core.errors import ModelNotFound
from jan_core.testing.memory import ModelsInMemory, provide_models
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
async def test_the_module_serves_one_scripted_model_and_shares_it_with_nobody() -> None:
    first, second = provide_models(None, None), provide_models(None, None)  # type: ignore[arg-type]
    await first.delete("scripted")
    assert [model.id for model in (await second.list()).data] == ["scripted"]
    assert (await second.locate("scripted")).engine == "scripted"
