from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from jan_threads_json import files as module
from jan_threads_json.files import ThreadFiles

from jan_core.folder.layout import Layout
from jan_core.folder.objects import Damaged
from jan_core.folder.shelf import Unread
from jan_core.folder.tombstones import Tombstones

Write = Callable[..., Path]


@pytest.fixture
def notes(root: Path) -> Tombstones:
    return Tombstones(Layout(root), str(root / "threads" / ".deleted"))


@pytest.fixture
def files(root: Path, notes: Tombstones) -> ThreadFiles:
    return ThreadFiles(Layout(root), notes)


def settle(path: Path, second: int = 1) -> None:
    """As if the file had last been changed long ago; the time of any change cannot be set back."""
    os.utime(path, ns=(second, second))


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_settled", lambda found, now: True)


def test_an_unchanged_file_is_not_opened_again(
    files: ThreadFiles, write: Write, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("threads/x/thread.json", created_at=5, title="one")
    with pytest.raises(Unread):
        files.find("x", may_read=False)
    first = files.find("x", may_read=True)
    assert first is not None
    monkeypatch.setattr(module, "read_object", None)
    assert files.find("x", may_read=True) is first
    assert files.find("x", may_read=False) is first
    one, other = first.thread(), first.thread()
    assert one == other
    assert one is not other
    monkeypatch.undo()
    write("threads/x/model.json", id="m")
    changed = files.find("x", may_read=True)
    assert changed is not None
    assert changed.thread().model == "m"
    path.unlink()
    assert files.find("x", may_read=False) is None


def test_a_file_that_was_just_changed_is_read_again(files: ThreadFiles, write: Write) -> None:
    write("threads/x/thread.json", created_at=5, title="a")
    files.find("x", may_read=True)
    with pytest.raises(Unread):
        files.find("x", may_read=False)
    assert files.is_checked("x")


def test_checked(files: ThreadFiles, notes: Tombstones, write: Write) -> None:
    path = write("threads/x/thread.json", created_at=5)
    assert not files.is_checked("x")
    files.find("x", may_read=True)
    assert files.is_checked("x")
    notes.add("x")
    assert not files.is_checked("x")
    assert files.find("x", may_read=True) is None
    notes.remove("x")
    files.find("x", may_read=True)
    write("threads/x/thread.json", "{ broken")
    assert not files.is_checked("x")
    found = files.find("x", may_read=True)
    assert found is not None
    with pytest.raises(Damaged):
        found.thread()
    with pytest.raises(Damaged):  # each time a new one: a traceback grows with every raise
        found.thread()
    assert not files.is_checked("x")
    path.unlink()
    assert not files.is_checked("x")


def test_memory_is_bounded(files: ThreadFiles, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 5)
    monkeypatch.setattr(module, "CHECKED", 7)
    for number in range(20):
        write(f"threads/t{number}/thread.json", created_at=5)
        files.find(f"t{number}", may_read=True)
    assert list(files._records) == [f"t{number}" for number in range(15, 20)]
    assert len(files._checked) == 7
