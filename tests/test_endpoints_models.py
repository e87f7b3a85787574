"""What `Models` promises, of the models in memory; the folder proves it in its module."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from jan_core.app import Jan, open_jan
from jan_core.endpoints.models import Models
from jan_core.errors import ModelNotFound, NotSupported
from jan_core.schemas.models import Model, ModelList, ModelLocation
from jan_core.testing.memory import ModelsInMemory
from tests.around import AROUND
from tests.scripted_contracts import ModelsByName


class Minimal(Models):
    """Only what is required."""

    async def list(self) -> ModelList:
        return ModelList(data=[])

    async def retrieve(self, model: str) -> Model:
        raise ModelNotFound(model)

    async def locate(self, model: str) -> ModelLocation:
        raise ModelNotFound(model)


class TestInMemory(ModelsByName):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "models-memory")


class TestWrapped(ModelsByName):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "models-memory", plugins=AROUND)


@pytest.mark.anyio
async def test_deleting_is_optional() -> None:
    assert not Minimal().supports("delete")
    assert ModelsInMemory().supports("delete")
    with pytest.raises(NotSupported):
        await Minimal().delete("x")


@pytest.mark.anyio
async def test_a_folder_that_vanishes_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    async with open_jan(tmp_path) as jan:
        shutil.rmtree(tmp_path / "models")
        assert (await jan.models.list()).data == []
