from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from jan_code.source import MOST_FILES, Seen, Source, find

from jan_core.errors import InvalidRequest
from jan_core.folder.layout import Layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "assistants" / "a"
    (made / "src").mkdir(parents=True)
    (made / "src" / "index.py").write_text("x = 1\n")
    return made


def found(tmp_path: Path, seen: Seen | None = None) -> Source:
    source = find(Layout(tmp_path), "a", seen)
    assert source is not None
    return source


def settled(tmp_path: Path, seen: Seen | None = None) -> Source:
    while not (source := found(tmp_path, seen)).settled:
        continue
    return source


def test_nothing_where_there_is_no_code(tmp_path: Path) -> None:
    assert find(Layout(tmp_path), "a") is None
    with pytest.raises(InvalidRequest) as error:
        find(Layout(tmp_path), "../a")
    assert error.value.code == "invalid_id"


def test_every_change_shows(tmp_path: Path, folder: Path) -> None:
    first = settled(tmp_path)
    assert found(tmp_path).same(first)
    (folder / "src" / "more.py").write_text("y = 1\n")
    second = settled(tmp_path)
    assert not second.same(first)
    (folder / "assistant.json").write_text('{"network": true}')
    third = settled(tmp_path)
    assert third.network
    assert not third.same(second)
    assert found(tmp_path).same(third)


@pytest.mark.parametrize("name", ["more.py", "pkg/more.py", "pkg/in/more.py"])
def test_every_change_shows_to_one_who_remembers(tmp_path: Path, folder: Path, name: str) -> None:
    (folder / "src" / "pkg" / "in").mkdir(parents=True)
    path, seen = folder / "src" / name, Seen()
    before = settled(tmp_path, seen)
    assert found(tmp_path, seen).same(before)
    for change in (lambda: path.write_text("y = 1\n"), lambda: path.write_text("y = 22\n"), path.unlink):
        change()
        after = settled(tmp_path, seen)
        assert not after.same(before)
        assert found(tmp_path).same(after)
        before = after


def test_what_is_no_code_is_no_change(tmp_path: Path, folder: Path) -> None:
    (folder / "src" / "data").mkdir()
    before = settled(tmp_path)
    for name in ("data/x.txt", "x.txt", "node_modules/x.py", ".git/x.py", "__pycache__/x.py"):
        (folder / "src" / name).parent.mkdir(exist_ok=True)
        (folder / "src" / name).write_text("x")
    assert found(tmp_path).same(before)


@pytest.mark.parametrize("name", ["x{}.py", "x{}/x.txt"])
def test_more_files_or_folders_than_are_looked_at(tmp_path: Path, folder: Path, name: str) -> None:
    for number in range(1, MOST_FILES):
        path = folder / "src" / name.format(number)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert settled(tmp_path).settled
    path = folder / "src" / name.format(0)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    give_up = time.monotonic() + 1  # by then all is older than what may not show
    while time.monotonic() < give_up:
        assert not found(tmp_path).settled


def test_what_was_seen_is_not_read_again(tmp_path: Path, folder: Path) -> None:
    (folder / "assistant.json").write_text(json.dumps({"network": True, "instructions": ["x"] * 1_000_000}))
    for number in range(5_000):
        (folder / "src" / f"{number}.txt").touch()
    seen = Seen()
    settled(tmp_path, seen)
    times = []
    for _ in range(20):
        before = time.perf_counter()
        assert found(tmp_path, seen).network
        times.append(time.perf_counter() - before)
    assert min(times) < 0.005  # many times as much where all is read


@pytest.mark.parametrize("text", ["{", '{"network": "yes"}', '{"network": 1}', "[]"])
def test_the_network_is_asked_for_by_true_alone(tmp_path: Path, folder: Path, text: str) -> None:
    (folder / "assistant.json").write_text(text)
    assert not found(tmp_path).network


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
class TestLinks:
    def test_out_of_the_root(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere" / "src"
        elsewhere.mkdir(parents=True)
        (elsewhere / "index.py").write_text("x = 1\n")
        root = tmp_path / "root"
        (root / "assistants").mkdir(parents=True)
        (root / "assistants" / "a").symlink_to(elsewhere.parent)
        with pytest.raises(InvalidRequest, match="leads out of"):
            find(Layout(root), "a")

    @pytest.mark.parametrize("name", ["src", "src/index.py", "src/more.py"])
    def test_out_of_the_folder(self, tmp_path: Path, folder: Path, name: str) -> None:
        elsewhere = tmp_path / "assistants" / "b"
        (folder / "src").rename(elsewhere)
        if name == "src":
            (folder / name).symlink_to(elsewhere)
        else:
            (folder / "src").mkdir()
            (folder / "src" / "index.py").write_text("x = 1\n")
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(elsewhere / "index.py")
        with pytest.raises(InvalidRequest, match="leads out of") as error:
            find(Layout(tmp_path), "a")
        assert error.value.code == "outside_root"

    @pytest.mark.parametrize("name", ["lib", "note.txt", "pkg/lib", "pkg/in/more.py", "node_modules"])
    @pytest.mark.parametrize("to", ["elsewhere", "assistants/a/threads"])
    def test_out_of_src_whatever_it_is_called(self, tmp_path: Path, folder: Path, name: str, to: str) -> None:
        (tmp_path / to).mkdir()
        path, seen = folder / "src" / name, Seen()
        path.parent.mkdir(parents=True, exist_ok=True)
        settled(tmp_path, seen)
        path.symlink_to(tmp_path / to)
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="leads out of") as error:
                found(tmp_path, seen)
            assert error.value.code == "outside_root"

    def test_within_src_they_are_followed(self, tmp_path: Path, folder: Path) -> None:
        (folder / "src" / "index.py").rename(folder / "src" / "code.py")
        (folder / "src" / "index.py").symlink_to("code.py")
        (folder / "src" / "round").symlink_to(".")
        assert found(tmp_path).index.endswith("index.py")
