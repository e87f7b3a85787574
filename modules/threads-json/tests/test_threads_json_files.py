from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jan_threads_json import files as module
from jan_threads_json.files import ThreadFiles

from jan_core.errors import InvalidRequest
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


def test_a_thread_is_read_of_both_its_files(files: ThreadFiles, write: Write) -> None:
    path = write("assistants/a/threads/x/thread.json", created_at=5, title="one")
    write("assistants/a/threads/x/model.json", id="m", parameters=[])
    found = files.find("x", may_read=True)
    assert found is not None
    assert (found.folder, found.created_at) == (str(path.parent), 5)
    thread = found.item()
    assert (thread.id, thread.title, thread.model, thread.parameters) == ("x", "one", "m", None)
    assert files.time_made(found.folder) == 5
    path.unlink()
    assert files.find("x", may_read=True) is None


def test_what_is_no_name_is_refused(files: ThreadFiles) -> None:
    with pytest.raises(InvalidRequest) as caught:
        files.find("../x", may_read=True)
    assert caught.value.param == "thread_id"


def test_a_file_that_was_just_changed_is_sound_all_the_same(files: ThreadFiles, write: Write) -> None:
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
        found.item()
    assert not files.is_checked("x")
    path.unlink()
    assert not files.is_checked("x")


def test_memory_is_bounded(files: ThreadFiles, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKED", 7)
    for number in range(20):
        write(f"threads/t{number}/thread.json", created_at=5)
        files.find(f"t{number}", may_read=True)
    assert list(files._checked) == [f"t{number}" for number in range(13, 20)]
    files.drop("t15")
    assert not files.is_checked("t15")
