from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.homes import NotedHomes, clash, location_fault, parts_of
from jan_core.folder.objects import Damaged


@pytest.fixture
def note(tmp_path: Path) -> Path:
    (tmp_path / "threads").mkdir()
    return tmp_path / "threads" / ".homes.json"


def test_homes_are_noted_once(note: Path, tmp_path: Path) -> None:
    noted, other = NotedHomes(str(tmp_path)), NotedHomes(str(tmp_path))
    assert noted.names() == ()
    for name in ("work", "b/c", "work"):
        noted.add(name)
    assert noted.names() == other.names() == ("work", "b/c")
    assert json.loads(note.read_text()) == {"homes": ["work", "b/c"]}
    other.add("d")
    assert noted.names() == ("work", "b/c", "d")


def test_fields_that_nobody_knows_stay(note: Path, tmp_path: Path) -> None:
    note.write_text('{"homes": ["work"], "why": "mine"}')
    NotedHomes(str(tmp_path)).add("b")
    assert json.loads(note.read_text()) == {"homes": ["work", "b"], "why": "mine"}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"homes": "work"}', '{"homes": [5]}', "{}"])
def test_a_damaged_note_counts_as_none_and_is_kept(note: Path, tmp_path: Path, content: str) -> None:
    note.write_text(content)
    noted = NotedHomes(str(tmp_path))
    assert noted.names() == ()
    with pytest.raises(Damaged):
        noted.read()
    noted.add("work")
    assert noted.names() == ("work",)
    (kept,) = note.parent.glob(".homes.json.broken-*")
    assert kept.read_text() == content


def test_what_leads_out_of_the_root_is_no_home(note: Path, tmp_path: Path) -> None:
    note.write_text('{"homes": ["../x", "work", "models", "/etc"]}')
    assert NotedHomes(str(tmp_path)).names() == ("work",)


def test_the_note_is_read_again_only_where_it_changed(
    note: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note.write_text('{"homes": ["work"]}')
    noted = NotedHomes(str(tmp_path))
    opened: list[str] = []
    real = DISK.open
    monkeypatch.setattr(DISK, "open", lambda path: (opened.append(str(path)), real(path))[1])
    noted.names()
    while not noted._known[1]:  # a change within a few milliseconds would not show
        noted.names()
    opened.clear()
    for _ in range(5):
        assert noted.names() == ("work",)
    assert opened == []
    note.write_text('{"homes": ["work", "c"]}')
    assert noted.names() == ("work", "c")


def test_several_at_once_lose_none(note: Path, tmp_path: Path) -> None:
    names = [f"home{number}" for number in range(12)]
    threads = [threading.Thread(target=NotedHomes(str(tmp_path)).add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(NotedHomes(str(tmp_path)).names()) == sorted(names)


def test_paths() -> None:
    assert parts_of("ROOT/a/b/") == parts_of("a/b") == ["a", "b"]
    assert parts_of("ROOT") == parts_of("ROOT/") == []
    assert location_fault("a/b") is None
    assert location_fault(["a"]) == "which is no path"
    assert clash("a/b", ["a/bc", "b", "a/b"]) is None
    assert clash("a/b", ["x", "A"]) == "A"
    assert clash("a", ["a/b"]) == "a/b"
    assert clash("a/B", ["a/b"]) == "a/b"
