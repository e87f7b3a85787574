"""Models that lie in the folders of assistants."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_models_json import doctor_checks, provide_models
from jan_models_json.doctor import checks
from jan_models_json.places import AssistantsPlaces, Place
from jan_models_json.removal import DELETED
from jan_models_json.settings import Settings
from jan_models_json.store import ModelsJson

from jan_core.errors import InvalidRequest, ModelNotFound
from jan_core.folder.layout import Layout

pytestmark = pytest.mark.anyio
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, write_gguf: Write, models_folder: Path) -> Write:
    """Put a model file at a path below the root."""

    def put(path: str, **more: Any) -> Path:
        made = write_gguf("made/a.gguf", **more)
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, target)
        made.parent.rmdir()
        return target

    return put


def entered(tmp_path: Path) -> ModelsJson:
    return ModelsJson(tmp_path / "models", Layout(tmp_path))


async def ids(models: ModelsJson) -> list[str]:
    return [model.id for model in (await models.list()).data]


async def test_they_are_listed_and_found(tmp_path: Path, write: Write) -> None:
    async with entered(tmp_path) as models:
        assert await ids(models) == []
        path = write("assistants/tutor/models/small/a.gguf")
        assert (await models.locate("small")).path == str(path)
        assert await ids(models) == ["small"]
        write("models/big/a.gguf")
        write("assistants/other/models/little/b.gguf")
        write("assistants/other/models/little/c.gguf")
        assert await ids(models) == ["big", "little", "little:c", "small"]
        assert (await models.retrieve("little:c")).id == "little:c"
        assert (await models.locate("big")).path == str(tmp_path / "models/big/a.gguf")
        os.rename(tmp_path / "assistants/tutor", tmp_path / "assistants/teacher")
        assert (await models.locate("small")).path == str(tmp_path / "assistants/teacher/models/small/a.gguf")
        shutil.rmtree(tmp_path / "assistants/teacher")
        with pytest.raises(ModelNotFound):
            await models.locate("small")
        assert await ids(models) == ["big", "little", "little:c"]


async def test_of_equal_names_the_roots_counts_then_the_first_assistants(tmp_path: Path, write: Write) -> None:
    async with entered(tmp_path) as models:
        last = write("assistants/z/models/qwen/a.gguf")
        assert (await models.locate("qwen")).path == str(last)
        first = write("assistants/a/models/Qwen/a.gguf")
        assert await ids(models) == ["Qwen"]
        assert (await models.locate("Qwen")).path == str(first)
        own = write("models/qwen/a.gguf")
        assert (await models.locate("qwen")).path == str(own)
        assert await ids(models) == ["qwen"]
        shutil.rmtree(own.parent)
        assert (await models.locate("Qwen")).path == str(first)


async def test_one_is_deleted_where_it_lies(tmp_path: Path, write: Write) -> None:
    write("assistants/tutor/models/small/a.gguf")
    write("assistants/tutor/models/other/a.gguf")
    (tmp_path / "assistants/tutor/assistant.json").write_text("{}")
    left = tmp_path / "assistants/tutor/models" / f"{DELETED}1234"
    left.mkdir()
    async with entered(tmp_path) as models:
        assert not left.exists()  # a deletion that broke off is finished at the start
        await models.delete("small")
        assert await ids(models) == ["other"]
        assert os.listdir(tmp_path / "assistants/tutor/models") == ["other"]
        assert (tmp_path / "assistants/tutor/assistant.json").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
async def test_nothing_is_deleted_outside_the_root(tmp_path: Path, write: Write) -> None:
    file = write("outside/models/small/a.gguf")
    root = tmp_path / "root"
    (root / "assistants").mkdir(parents=True)
    (root / "assistants/tutor").symlink_to(tmp_path / "outside")
    async with ModelsJson(root / "models", Layout(root)) as models:
        assert await ids(models) == ["small"]
        with pytest.raises(InvalidRequest) as refused:
            await models.delete("small")
        assert refused.value.code == "outside_root"
        assert file.exists()


async def test_doctor_counts_them_and_names_doubles(tmp_path: Path, write: Write) -> None:
    write("assistants/a/models/small/a.gguf")

    def verdicts() -> list[tuple[bool, str]]:
        found = checks(tmp_path / "none", AssistantsPlaces(Layout(tmp_path)).folders)
        return [(verdict.ok, verdict.why) for verdict in (check.run() for check in found)]

    home = tmp_path / "assistants/a/models"
    assert verdicts() == [(True, f"{home} holds 1 model."), (True, "Nothing is damaged or left out.")]
    write("assistants/b/models/SMALL/a.gguf")
    (tmp_path / "none" / "small").mkdir(parents=True)
    ok, why = verdicts()[1]
    assert not ok
    first = tmp_path / "none" / "small"
    assert f"{home / 'small'} has the name of {first}, and is left out; rename it." in why
    assert f"{tmp_path / 'assistants/b/models/SMALL'} has the name of {first}, and is left out; rename it." in why


async def test_the_module_looks_there(tmp_path: Path, write: Write) -> None:
    class Here:
        root = tmp_path

    write("assistants/a/models/small/a.gguf")
    async with provide_models(Settings(), Here()) as models:  # type: ignore[arg-type]
        assert [one.id for one in (await models.list()).data] == ["small"]
    assert all(check.run().ok for check in doctor_checks(Settings(), Here()))  # type: ignore[arg-type]


def test_not_every_assistant_is_looked_at_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(100):
        (tmp_path / f"assistants/a{number}").mkdir(parents=True)
    (tmp_path / "assistants/a5/models").mkdir()
    places = AssistantsPlaces(Layout(tmp_path))
    assert places.paths() == {}
    asked: list[str] = []
    monkeypatch.setattr(Place, "names", lambda self, names=Place.names: (asked.append(self.path), names(self))[1])
    places.paths()
    assert asked == [str(tmp_path / "assistants"), str(tmp_path / "assistants/a5/models")]
    (tmp_path / "assistants/a5/models/n").mkdir()
    assert list(places.paths()) == ["n"]
    (tmp_path / "assistants/a7/models/m").mkdir(parents=True)
    assert list(places.paths(everywhere=True)) == ["n", "m"]
    assert places.folders() == [str(tmp_path / f"assistants/a{number}/models") for number in (5, 7)]
    (tmp_path / "assistants/b/models/o").mkdir(parents=True)
    assert list(places.paths()) == ["n", "m", "o"]


def test_what_did_not_change_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "assistants/a/models/m").mkdir(parents=True)
    places, place = AssistantsPlaces(Layout(tmp_path)), Place(str(tmp_path / "assistants"))
    assert places.paths() is places.paths()
    assert place.names() is place.names()
    place.forget()
    assert place.names() == {"a"}
    (tmp_path / "assistants/b").write_text("no folder")
    assert place.names() == {"a"}
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="directory"):
        Place(str(tmp_path / "file")).names()
