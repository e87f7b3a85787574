from __future__ import annotations

import os
from pathlib import Path

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.layout import Layout
from jan_core.folder.tombstones import Tombstones


@pytest.fixture
def notes(tmp_path: Path) -> Tombstones:
    return Tombstones(Layout(tmp_path), str(tmp_path / "threads" / ".deleted"))


def test_a_note_is_there_for_everybody_until_it_is_removed(notes: Tombstones, tmp_path: Path) -> None:
    other = Tombstones(Layout(tmp_path), notes.folder)
    assert notes.names() == []
    assert not notes.has("a")
    notes.remove("a")
    for name in ("b", "a", "a"):
        notes.add(name)
    assert other.has("a")
    assert other.names() == ["a", "b"]
    other.remove("a")
    assert notes.names() == ["b"]
    assert not notes.has("a")


def test_what_is_no_note_is_none(notes: Tombstones) -> None:
    notes.add("a")
    folder = Path(notes.folder)
    for name in (".tmp-new", ".tmp-old", ".b-0123", "ä"):
        (folder / name).write_text("")
    os.utime(folder / ".tmp-old", (1, 1))
    assert notes.names() == ["a"]
    assert sorted(entry.name for entry in folder.iterdir()) == [".b-0123", ".tmp-new", "a", "ä"]


def test_a_note_is_flushed_and_so_is_its_folder(notes: Tombstones, monkeypatch: pytest.MonkeyPatch) -> None:
    from jan_core.folder.calls import DISK

    order: list[str] = []
    for call in ("sync", "replace", "sync_folder"):
        real = getattr(DISK, call)
        monkeypatch.setattr(DISK, call, lambda *a, real=real, call=call: (order.append(call), real(*a))[1])
    notes.add("a")
    # The root and two folders in it are there for good, then the file, its name, and the folder with the name.
    assert order == ["sync_folder"] * 3 + ["sync", "replace", "sync_folder"]


def test_only_a_removal_that_may_not_be_flushed_is_flushed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real, fails = DISK.sync_folder, [False]

    def sync_folder(path: str) -> None:
        if fails[0]:
            raise OSError(5, "no")
        real(path)
        flushed.append(path)

    notes = Tombstones(Layout(tmp_path), str(tmp_path / "threads" / ".deleted"))
    notes.add("a")
    notes.add("b")
    monkeypatch.setattr(DISK, "sync_folder", sync_folder)
    notes.secure()
    assert flushed == [notes.folder], "another process may have failed"
    notes.remove("a")
    notes.secure()
    assert flushed == [notes.folder] * 2
    fails[0] = True
    with pytest.raises(OSError, match="no"):
        notes.remove("b")
    fails[0] = False
    notes.secure()
    notes.secure()
    assert flushed == [notes.folder] * 3
    Tombstones(Layout(tmp_path / "new"), str(tmp_path / "new")).secure()
