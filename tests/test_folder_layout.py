from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jan_core.errors import InvalidRequest
from jan_core.folder import layout as module
from jan_core.folder.layout import Layout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def assistant(root: Path, name: str, **fields: object) -> Path:
    folder = root / "assistants" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "assistant.json").write_text(json.dumps({"created_at": 1, **fields}))
    return folder


def test_paths_of_what_does_not_exist(root: Path) -> None:
    layout = Layout(root)
    assert layout.thread_folder("t") == str(root / "threads" / "t")
    assert layout.assistant_folder("a") == str(root / "assistants" / "a")
    assert layout.assistant_models("a") == str(root / "assistants" / "a" / "models")
    assert layout.home("a") == str(root / "threads")
    assert layout.homes() == (str(root / "threads"),)
    assert layout.shown(str(root / "threads" / "t" / "model.json")) == "threads/t/model.json"
    assert not root.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", "C:x", "con", "a" * 129, "ä", "\0", "\ud800", ".x"])
def test_hostile_ids(root: Path, name: str) -> None:
    layout = Layout(root)
    for path in (layout.thread_folder, layout.assistant_folder, layout.assistant_models, layout.home):
        with pytest.raises(InvalidRequest) as caught:
            path(name)
        assert caught.value.code == "invalid_id"


def test_a_thread_is_found_wherever_it_lies(root: Path) -> None:
    own = assistant(root, "shakespeare", thread_location="threads") / "threads"
    assistant(root, "hamlet", thread_location="work/plays/")
    layout = Layout(root)
    assert layout.home("shakespeare") == str(own)
    assert layout.home("hamlet") == str(root / "work" / "plays")
    assert layout.thread_folder("t") == str(root / "threads" / "t")
    (own / "t").mkdir(parents=True)
    assert layout.thread_folder("t") == str(own / "t")
    (root / "work" / "plays" / "p").mkdir(parents=True)
    assert layout.thread_folder("p") == str(root / "work" / "plays" / "p")
    assert layout.homes() == (str(root / "threads"), str(own), str(root / "work" / "plays"))
    (root / "threads" / "t").mkdir(parents=True)
    assert layout.thread_folder("t") == str(root / "threads" / "t")


def test_homes_follow_what_a_person_does(root: Path) -> None:
    layout = Layout(root)
    assert len(layout.homes()) == 1
    folder = assistant(root, "a")
    assert len(layout.homes()) == 1
    (folder / "threads").mkdir()
    assert len(layout.homes()) == 2
    (folder / "assistant.json").write_text("{ broken")
    assert len(layout.homes()) == 2
    assistant(root, "a", thread_location="other")
    (root / "other").mkdir()
    assert len(layout.homes()) == 3
    os.rename(folder, root / "gone")
    assert len(layout.homes()) == 1


def test_many_assistants_are_not_looked_at_for_every_listing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCHED", 1)
    for name in ("a", "b"):
        assistant(root, name)
    layout = Layout(root)
    assert len(layout.homes()) == 1
    (root / "assistants" / "a" / "threads").mkdir()
    assert len(layout.homes()) == 1
    monkeypatch.setattr(module, "TRUSTED", 0)
    assert len(layout.homes()) == 2


@pytest.mark.parametrize(
    "location",
    [
        *(
            "../x",
            "/etc",
            "ROOT",
            "ROOT/",
            "a/../b",
            "a//b",
            "C:/x",
            "C:x",
            "\\\\host\\x",
            "~",
            ".locks",
            "models",
            5,
            [],
        ),
        *("Models/x", "files", "assistants/x", "assistants/x/src/threads", "threads/x", "a\0b", "x" * 200, "", "/"),
        *("jan.toml", "VERSION", "Version/x", "THREADS", "ROOT/Threads", "threads/", "ROOT/assistants/a/Threads"),
        *("Assistants/x/threads", "Root/threads", "ROOT/ROOT/threads", "vector_stores/x", "keys.TOML", "logs/x"),
    ],
)
def test_a_location_stays_in_the_root(root: Path, location: object) -> None:
    layout = Layout(root)
    with pytest.raises(InvalidRequest) as caught:
        layout.location(location, "a")
    assert (caught.value.param, caught.value.code) == ("thread_location", "invalid_location")
    assistant(root, "a", thread_location=location)
    with pytest.raises(InvalidRequest) as caught:
        layout.home("a")
    assert "assistant.json" in caught.value.message
    assert layout.homes() == (str(root / "threads"),)


def test_good_locations(root: Path) -> None:
    layout = Layout(root)
    for location in (None, "ROOT/threads", "ROOT/threads/"):
        assert layout.location(location, "a") == str(root / "threads")
    assert layout.location("threads", "a") == str(root / "assistants" / "a" / "threads")
    assert layout.location("assistants/b/threads", "a") == str(root / "assistants" / "b" / "threads")
    assert layout.location("ROOT/x/y", "a") == str(root / "x" / "y")


def test_links_that_leave_the_root_are_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / "threads").mkdir(parents=True)
    (root / "threads" / "out").symlink_to(outside)
    (root / "threads" / "in").symlink_to(root / "threads")
    (root / "work").symlink_to(outside)
    layout = Layout(root)
    layout.check_writable(str(root / "threads" / "x" / "thread.json"))
    layout.check_writable(str(root / "threads" / "in" / "thread.json"))
    refused = [root / "threads" / "out" / "thread.json", root / "work" / "x", outside, tmp_path / "rooted", tmp_path]
    for path in refused:
        with pytest.raises(InvalidRequest) as caught:
            layout.check_writable(str(path))
        assert caught.value.code == "outside_root"
    with pytest.raises(InvalidRequest):
        layout.make_folder(str(root / "work" / "plays"))
    assert not list(outside.iterdir())


def test_a_root_that_is_a_link_is_a_root(root: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    root.symlink_to(tmp_path / "real")
    layout = Layout(root)
    layout.make_folder(str(root / "threads" / "x"))
    assert (tmp_path / "real" / "threads" / "x").is_dir()


def test_folders_are_made_with_those_above(root: Path) -> None:
    layout = Layout(root)
    layout.make_folder(str(root / "a" / "b"))
    layout.make_folder(str(root / "a" / "b"))
    assert (root / "a" / "b").is_dir()
    (root / "file").write_text("")
    with pytest.raises(OSError):
        layout.make_folder(str(root / "file"))


def test_what_was_a_home_stays_one(root: Path) -> None:
    folder = assistant(root, "a", thread_location="work/plays")
    layout, other = Layout(root), Layout(root)
    home = layout.home("a")
    layout.make_home(home)
    assert layout.homes() == other.homes() == (str(root / "threads"), home)
    note = root / "threads" / ".homes.json"
    before = note.read_bytes()
    layout.make_home(home)
    layout.make_home(str(root / "threads"))
    layout.make_home(str(folder / "threads"))
    assert note.read_bytes() == before
    for content in ('{"created_at": 1}', "{"):
        (folder / "assistant.json").write_text(content)
        assert home in layout.homes()
        assert home in Layout(root).homes()
    os.rename(folder, root / "gone")
    assert layout.homes() == Layout(root).homes() == (str(root / "threads"), home)
    note.unlink()
    assert layout.homes() == (str(root / "threads"),)


def test_a_change_of_the_location_is_noted_before(root: Path) -> None:
    assistant(root, "a", thread_location="work")
    layout = Layout(root)
    layout.note_home("a")
    assert layout.noted.names() == ()  # there is no such folder
    (root / "work").mkdir()
    layout.note_home("a")
    assert layout.noted.names() == ("work",)
    for location in ("threads", None, "../x"):
        assistant(root, "a", thread_location=location)
        layout.note_home("a")
    assert layout.noted.names() == ("work",)


def test_a_new_home_is_found_at_once_beside_many_assistants(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WATCHED", 1)
    for name in ("a", "b"):
        assistant(root, name, thread_location="threads")
    assistant(root, "c", thread_location="work")
    layout, other = Layout(root), Layout(root)
    assert len(layout.homes()) == len(other.homes()) == 1
    for name, count in (("a", 2), ("c", 3)):
        layout.make_home(layout.home(name))
        assert len(layout.homes()) == count
    assert len(other.homes()) == 3  # the note has changed


def test_a_new_location_beside_others(root: Path) -> None:
    assistant(root, "a", thread_location="work/a")
    layout = Layout(root)
    layout.make_home(str(root / "old"))
    for location in ("work", "work/a/b", "Work/a", "WORK", "old/x", "Old"):
        with pytest.raises(InvalidRequest) as caught:
            layout.new_location(location, "b")
        assert (caught.value.param, caught.value.code) == ("thread_location", "invalid_location")
    assert layout.new_location("work/a", "b") == str(root / "work" / "a")
    assert layout.new_location("work/b", "b") == str(root / "work" / "b")
    assert layout.new_location("work/a/b", "a") == str(root / "work" / "a" / "b")  # in place of its own
    assert layout.new_location("threads", "b") == str(root / "assistants" / "b" / "threads")
    assert layout.new_location(None, "b") == str(root / "threads")


def test_a_file_is_no_home(root: Path) -> None:
    layout = Layout(root)
    root.mkdir()
    (root / "notes").write_text("")
    for location in ("notes", "notes/x"):
        assistant(root, "a", thread_location=location)
        with pytest.raises(InvalidRequest, match="notes is no folder") as caught:
            layout.new_location(location, "b")
        assert caught.value.param == "thread_location"
        with pytest.raises(InvalidRequest, match="assistant.json") as caught:
            layout.home("a")
        assert caught.value.code == "invalid_location"
