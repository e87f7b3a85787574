from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from jan_core.pull.errors import PullError
from jan_core.pull.part import Digest
from jan_core.pull.place import DOWNLOADS, Place
from jan_core.pull.source import Local, Package, Source
from tests.pull_server import GGUF, Steps

FOUND = Digest(hashlib.sha256(GGUF).hexdigest(), len(GGUF))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "root" / "models" / DOWNLOADS).mkdir(parents=True)
    return tmp_path / "root" / "models"


@pytest.fixture
def part(models: Path) -> Path:
    path = models / DOWNLOADS / "x.part"
    path.write_bytes(GGUF)
    return path


def place(models: Path, model_id: str = "tiny", file_name: str = "Tiny.gguf", source: Source | None = None) -> Place:
    source = source or Package("tiny", None)
    return Place(models, model_id, file_name, source, source.record, "somebody")


def test_a_case_twin_is_refused(models: Path) -> None:
    (models / "Tiny").mkdir()
    with pytest.raises(PullError, match="differs only in capitals"):
        place(models)


def test_a_folder_that_leaves_the_root_is_not_written_to(models: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (models / "tiny").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(PullError, match="leaves the root"):
        place(models)


def test_what_came_into_its_way_meanwhile_is_kept(models: Path, part: Path) -> None:
    goal = place(models)
    goal.folder.mkdir()
    goal.path.write_bytes(b"somebody's work")
    with pytest.raises(PullError, match="from somewhere else"):
        goal.move(part, FOUND)
    assert goal.path.read_bytes() == b"somebody's work"
    assert part.exists()


def test_a_broken_model_json_is_said_before_anything_is_fetched(models: Path) -> None:
    (models / "tiny").mkdir()
    (models / "tiny" / "model.json").write_text('{\n "id": tiny\n}')
    with pytest.raises(PullError, match=r"model\.json, line 2: .*Mend it"):
        place(models)


@pytest.mark.parametrize("hard", [True, False])
def test_where_links_are_refused(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard: bool) -> None:
    original = tmp_path / "Tiny.gguf"
    original.write_bytes(GGUF)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", refuse)
    if not hard:
        monkeypatch.setattr(os, "link", refuse)
    steps = Steps()
    goal = place(models, source=Local(original))
    goal.link(original, FOUND, steps)
    assert goal.path.read_bytes() == GGUF
    assert not goal.path.is_symlink()
    assert goal.path.samefile(original) == hard
    assert steps.notes
    assert original.read_bytes() == GGUF
    assert list((models / DOWNLOADS).iterdir()) == []
