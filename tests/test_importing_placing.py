from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jan_core.errors import InvalidRequest
from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout
from jan_core.importing.models import read_model
from jan_core.importing.placing import place_files, place_instructions, place_model
from jan_core.importing.report import Item
from tests.foreign import GGUF, Steps, older, tree, write


def item() -> Item:
    return Item("model", "tiny-q4", "skipped", Path("x"))


class Placed:
    """One attempt to place the model of an older app."""

    def __init__(self, tmp_path: Path, name: str = "tiny-q4", *, copy: bool = False, dry_run: bool = False) -> None:
        app = tmp_path / "app"
        if not app.exists():
            older(app)
        self.steps = Steps()
        self.item = item()
        model = read_model(app / "models" / "tiny-q4", "tiny-q4", app)
        before = tree(app)
        models = tmp_path / "root" / "models"
        place_model(models, model, name, self.item, copy, dry_run, self.steps)
        assert tree(app) == before
        self.original = app / "models" / "tiny-q4" / "tiny.Q4.gguf"
        self.folder = models / name
        self.file = self.folder / "tiny.Q4.gguf"


def test_a_file_is_linked_and_described(tmp_path: Path) -> None:
    placed = Placed(tmp_path)
    assert placed.item.outcome == "imported"
    assert os.path.samefile(placed.file, placed.original)
    assert json.loads((placed.folder / "model.json").read_text())["source"][0]["filename"] == "tiny.Q4.gguf"
    assert placed.steps.told == []
    again = Placed(tmp_path)
    assert again.item.outcome == "present"


def test_a_file_is_copied_where_that_is_asked_for(tmp_path: Path) -> None:
    placed = Placed(tmp_path, copy=True)
    assert not os.path.samefile(placed.file, placed.original)
    assert placed.file.read_bytes() == GGUF
    assert placed.steps.told == [("Copying tiny.Q4.gguf", len(GGUF)), len(GGUF)]
    assert Placed(tmp_path, copy=True).item.outcome == "present"
    os.utime(placed.file, (1, 1))
    again = Placed(tmp_path)
    assert again.item.outcome == "present"
    assert again.steps.told == [("Comparing tiny.Q4.gguf", len(GGUF)), len(GGUF)]


def test_a_file_is_copied_to_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(old: object, new: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(DISK, "link", refuse)
    placed = Placed(tmp_path)
    assert (placed.item.outcome, placed.file.read_bytes()) == ("imported", GGUF)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    placed = Placed(tmp_path, dry_run=True)
    assert placed.item.outcome == "imported"
    assert not (tmp_path / "root").exists()


def test_what_broke_off_is_finished(tmp_path: Path) -> None:
    placed = Placed(tmp_path)
    (placed.folder / "model.json").unlink()
    assert Placed(tmp_path).item.outcome == "imported"
    assert (placed.folder / "model.json").exists()
    placed.file.unlink()
    assert Placed(tmp_path).item.outcome == "imported"
    assert placed.file.exists()


def test_nothing_that_differs_is_overwritten(tmp_path: Path) -> None:
    placed = Placed(tmp_path, copy=True)
    mine = write(placed.folder / "model.json", {"settings": {"ctx_len": 512}})
    edited = Placed(tmp_path)
    assert edited.item.outcome == "present"
    assert edited.item.notes == ["its model.json differs from the one here, which was left as it is"]
    assert json.loads(mine.read_text()) == {"settings": {"ctx_len": 512}}
    placed.file.write_bytes(b"GGUF of mine")
    assert Placed(tmp_path).item.why == "a model 'tiny-q4' is here already, with another file of the same name"
    assert placed.file.read_bytes() == b"GGUF of mine"
    placed.file.rename(placed.folder / "other.gguf")
    assert Placed(tmp_path).item.why == "another model 'tiny-q4' is here already"
    mine.write_text("{")
    assert Placed(tmp_path).item.outcome == "skipped"


def test_twins_and_links_out_of_the_root_are_refused(tmp_path: Path) -> None:
    (tmp_path / "root" / "models" / "Tiny-Q4").mkdir(parents=True)
    assert "differs from it only in capitals" in Placed(tmp_path).item.why
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "models" / "out").symlink_to(tmp_path / "elsewhere")
    assert "leaves the root" in Placed(tmp_path, "out").item.why
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_files_beside_an_object(tmp_path: Path) -> None:
    source = tmp_path / "from"
    write(source / "src" / "index.py", "print()")
    write(source / "src" / "deep" / "more.txt", "x")
    write(source / "src" / ".hidden", "x")
    write(source / "src" / "node_modules" / "x.js", "x")
    write(source / "package.json", "{}")
    write(source / "other.txt", "x")
    (source / "src" / "link").symlink_to(tmp_path)
    target = tmp_path / "root" / "assistants" / "a"
    names, found = ("src", "package.json", "gone"), item()
    place_files(source, names, target, found, dry_run=True)
    assert not target.exists()
    place_files(source, names, target, found, dry_run=False)
    assert sorted(tree(target)) == ["package.json", "src/deep/more.txt", "src/index.py"]
    assert found.notes == []
    (target / "package.json").write_text("{ }")
    place_files(source, names, target, found, dry_run=False)
    assert found.notes == ["package.json differs from the one here, which was left as it is"]
    assert (target / "package.json").read_text() == "{ }"


def test_instructions_of_a_thread(tmp_path: Path) -> None:
    layout, found = Layout(tmp_path), item()
    place_instructions(layout, "t", "Be brief.", found, dry_run=False)
    assert found.notes == ["its own instructions were left out: threads are not kept in the folder here"]
    folder = write(tmp_path / "threads" / "t" / "thread.json", "{}").parent
    place_instructions(layout, "t", "Be brief.", found, dry_run=True)
    assert not (folder / "model.json").exists()
    write(folder / "model.json", {"id": "m"})
    place_instructions(layout, "t", "Be brief.", found, dry_run=False)
    place_instructions(layout, "t", "Be long.", found, dry_run=False)
    assert json.loads((folder / "model.json").read_text()) == {"id": "m", "instructions": "Be brief."}
    assert len(found.notes) == 1
    with pytest.raises(InvalidRequest):
        place_instructions(layout, "../t", "x", found, dry_run=False)
