"""What `Models` promises, of each implementation."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jan_core.app import open_jan
from jan_core.endpoints.models import Models
from jan_core.errors import InvalidRequest, ModelNotFound, NotSupported
from jan_core.schemas.models import Model, ModelList, ModelLocation
from jan_core.testing.memory import ModelsInMemory

pytestmark = pytest.mark.anyio
IDS = ["Alpha", "beta-7b", "gamma.q4"]


@pytest.fixture(params=["memory", "folder"])
async def models(request: pytest.FixtureRequest, tmp_path: Path, smollm2_path: Path) -> AsyncIterator[Models]:
    """An implementation that holds the models `IDS`."""
    if request.param == "memory":
        yield ModelsInMemory(dict.fromkeys(IDS, "llamacpp"))
        return
    for name in IDS:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "weights.gguf").symlink_to(smollm2_path)
    async with open_jan(tmp_path) as jan:
        yield jan.models


async def test_the_list_is_ordered_by_id_and_whole(models: Models) -> None:
    listed = await models.list()
    assert [one.id for one in listed.data] == sorted(IDS)
    assert [await models.retrieve(one.id) for one in listed.data] == listed.data


async def test_a_caller_may_change_what_it_was_given(models: Models) -> None:
    (await models.list()).data.clear()
    assert len((await models.list()).data) == len(IDS)


@pytest.mark.parametrize("name", ["nope", "owner/name", "a:b", "Alpha/..", "..", "", "\0", "é", "x" * 500])
async def test_what_is_not_there_is_not_found_or_refused(models: Models, name: str) -> None:
    for ask in (models.retrieve, models.locate, models.delete):
        with pytest.raises((ModelNotFound, *REFUSED)) as error:
            await ask(name)
        assert error.value.param == "model"
        assert error.value.status in (400, 404)
    assert len((await models.list()).data) == len(IDS)


REFUSED = (InvalidRequest,)
"""An id that cannot be one may be refused as such."""


async def test_a_deleted_model_is_gone(models: Models) -> None:
    told = await models.delete("Alpha")
    assert (told.id, told.deleted, told.object) == ("Alpha", True, "model")
    assert [one.id for one in (await models.list()).data] == sorted(IDS[1:])
    with pytest.raises(ModelNotFound):
        await models.locate("Alpha")


async def test_a_location_says_what_an_engine_needs(models: Models) -> None:
    location = await models.locate("beta-7b")
    assert (location.id, location.engine) == ("beta-7b", "llamacpp")
    assert Path(location.path).is_absolute()
    assert location.revision == (await models.locate("beta-7b")).revision


class Minimal(Models):
    """Only what is required."""

    async def list(self) -> ModelList:
        return ModelList(data=[])

    async def retrieve(self, model: str) -> Model:
        raise ModelNotFound(model)

    async def locate(self, model: str) -> ModelLocation:
        raise ModelNotFound(model)


async def test_deleting_is_optional() -> None:
    assert not Minimal().supports("delete")
    assert ModelsInMemory().supports("delete")
    with pytest.raises(NotSupported):
        await Minimal().delete("x")


async def test_a_folder_that_vanishes_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    async with open_jan(tmp_path) as jan:
        shutil.rmtree(tmp_path / "models")
        assert (await jan.models.list()).data == []
