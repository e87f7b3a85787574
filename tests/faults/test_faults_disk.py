"""The instruments themselves: what the simulated disk loses, and that the recorder sees everything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.replace import replace_file
from tests.faults.disk import TOP, Cut, Disk, Event, Flushed, Made, Moved, Removed, Tree, Wrote
from tests.faults.recorder import Recorder
from tests.faults.tears import tears


def states(*events: Event, most: int = 1000) -> list[Tree]:
    disk = Disk()
    for event in events:
        disk.add(event)
    found = list(disk.states(most))
    assert disk.everything() in found
    return found


def contents(path: str, found: Sequence[Tree]) -> set[bytes | None]:
    return {tree.get(path, b"<none>") for tree in found}


FILE = (Made(TOP, "f", 1, False), Wrote(1, 0, b"old"), Flushed(1, ""), Flushed(TOP, ""))


def test_what_was_flushed_stays() -> None:
    assert states(*FILE) == [{"f": b"old"}]
    assert states(*FILE, Removed(TOP, "f", 1), Flushed(TOP, "")) == [{}]


def test_a_name_is_lost_until_its_folder_is_flushed_and_so_is_what_lies_below() -> None:
    assert contents("f", states(*FILE[:3])) == {b"<none>", b"old"}
    assert contents("f", states(*FILE, Removed(TOP, "f", 1))) == {b"<none>", b"old"}
    below = (Made(TOP, "a", 2, True), Made(2, "f", 3, False), Wrote(3, 0, b"x"), Flushed(3, ""), Flushed(2, ""))
    assert contents("a/f", states(*below)) == {b"<none>", b"x"}
    assert contents("a/f", states(*below, Flushed(TOP, ""))) == {b"x"}


def test_names_arrive_each_for_itself() -> None:
    two = states(Made(TOP, "a", 1, True), Made(TOP, "b", 2, True))
    assert {tuple(tree) for tree in two} == {(), ("a",), ("b",), ("a", "b")}


def test_a_write_is_lost_torn_filled_with_zeros_or_rubbish_and_sizes_come_late() -> None:
    new = contents("f", states(*FILE, Wrote(1, 3, b"-new")))
    assert {b"old", b"old-new", b"old-", b"old\0\0\0\0", b"old\xa5\xa5\xa5\xa5", b"old-\0\0\0", b"old\0new"} <= new
    assert contents("f", states(*FILE, Wrote(1, 0, b"new"))) == {b"old", b"new", b"nld", b"ned", b"oew", b"olw"}
    both = contents("f", states(*FILE, Wrote(1, 3, b"-"), Wrote(1, 0, b"n")))
    assert {b"old", b"old-", b"nld", b"nld-"} <= both


def test_a_cut_may_come_late_too() -> None:
    assert contents("f", states(*FILE, Cut(1, 1))) == {b"old", b"o"}
    assert contents("f", states(*FILE, Cut(1, 1), Flushed(1, ""))) == {b"o"}


def test_a_flush_that_failed_is_not_made_good_by_one_that_works() -> None:
    failed = (*FILE, Wrote(1, 0, b"n"), Flushed(1, "", worked=False), Wrote(1, 2, b"w"), Flushed(1, ""))
    assert contents("f", states(*failed)) == {b"olw", b"nlw"}
    # What is written anew over it is on the disk.
    assert contents("f", states(*failed, Wrote(1, 0, b"new"), Flushed(1, ""))) == {b"new"}


def test_a_replacement_without_its_flushes_can_be_empty_or_the_old_one() -> None:
    new = (Made(TOP, "t", 2, False), Wrote(2, 0, b"new"))
    move = Moved(TOP, "t", TOP, "f", 2)
    assert contents("f", states(*FILE, *new, move, Flushed(TOP, ""))) >= {b"", b"new", b"ne", b"\0\0\0"}
    assert contents("f", states(*FILE, *new, Flushed(2, ""), move)) == {b"old", b"new"}
    assert contents("f", states(*FILE, *new, Flushed(2, ""), move, Flushed(TOP, ""))) == {b"new"}


def test_a_long_write_is_torn_at_sectors_and_at_marks() -> None:
    data = b'{"id":"1","text":"' + "é".encode() * 1500 + b'"},\n{"id":"2"}\n]\n'
    found = tears(100, data, 100, random.Random(1))
    ends = {tear.grown for tear in found}
    assert {412, 412 + 512, len(data) - 1, 0, len(data)} <= ends
    assert any(len(tear.kept) > 2 for tear in found), "no write lost sectors in its midst"
    assert len(found) > 50
    for tear in found:
        after = tear.apply(b"x" * 100, 100, data)
        assert after.startswith(b"x" * 100)
        assert len(after) == 100 + tear.grown


def test_too_many_states_are_sampled_and_the_telling_ones_are_among_them() -> None:
    writes = [Wrote(1, 10 * index, b"0123456789") for index in range(12)]
    found = states(*FILE, *writes, most=200)
    assert 40 < len(found) <= 200
    assert {"f": b"old"} in found


def test_the_recorder_sees_the_same_as_the_disk_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"before")
    recorder = Recorder(tmp_path, monkeypatch)
    DISK.mkdir(tmp_path / "a")
    replace_file(tmp_path / "a" / "one", b"1")
    replace_file(tmp_path / "there" / "file", b"after")
    descriptor = DISK.open_to_change(tmp_path / "a" / "one")
    DISK.write(descriptor, b"23", 1)
    DISK.truncate(descriptor, 2)
    DISK.close(descriptor)
    DISK.replace(tmp_path / "a", tmp_path / "b")
    DISK.unlink(tmp_path / "b" / "one")
    DISK.rmdir(tmp_path / "b")
    disk = Disk()
    for event in recorder.events:
        disk.add(event)
    assert disk.everything() == {"there": None, "there/file": b"after"}
    assert (tmp_path / "there" / "file").read_bytes() == b"after"


@pytest.mark.parametrize(("forgotten", "finds"), [("", set()), ("DISK.sync(", {"", "torn"}), ("folder(", {"old"})])
def test_a_forgotten_flush_of_a_replacement_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: str, finds: set[str]
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    recorder = Recorder(tmp_path, monkeypatch)
    replace_file(tmp_path / "file", b"new")
    sites = [event.site for event in recorder.events if isinstance(event, Flushed)]
    assert sites[-2:] == [
        "replace.replace_file > DISK.sync(descriptor)",
        "replace.replace_file > DISK.sync_folder(folder)",
    ]
    kept = [
        event for event in recorder.events if not (forgotten and isinstance(event, Flushed) and forgotten in event.site)
    ]
    found = contents("file", states(*kept)) - {b"new"}
    assert bool(found) == bool(forgotten)
    assert {"" if one == b"" else "old" if one == b"old" else "torn" for one in found} == finds
