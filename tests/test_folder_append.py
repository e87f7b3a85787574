from __future__ import annotations

import errno
import itertools
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from jan_core.folder.append import PAGE, Unsure, append_in_place
from jan_core.folder.calls import DISK
from jan_core.folder.elements import joined, scan

SECTOR = 512
Call = tuple[str, bytes, int]


def one(number: int, size: int) -> bytes:
    text = (f"{number}!" * size)[:size]
    return json.dumps({"id": f"msg_{number}", "text": text}, separators=(",", ":")).encode()


def list_of_size(size: int) -> list[bytes]:
    """Two elements whose list has this many bytes before its end."""
    first = one(1, 20)
    rest = size - len(b"[\n" + first + b",\n" + one(2, 0))
    return [first, one(2, rest)]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    calls: list[Call] = []
    write, truncate, sync = DISK.write, DISK.truncate, DISK.sync

    def record_write(descriptor: int, data: bytes, offset: int) -> None:
        calls.append(("write", data, offset))
        write(descriptor, data, offset)

    def record_truncate(descriptor: int, size: int) -> None:
        calls.append(("truncate", b"", size))
        truncate(descriptor, size)

    def record_sync(descriptor: int) -> None:
        calls.append(("sync", b"", 0))
        sync(descriptor)

    monkeypatch.setattr(DISK, "write", record_write)
    monkeypatch.setattr(DISK, "truncate", record_truncate)
    monkeypatch.setattr(DISK, "sync", record_sync)
    return calls


def append(path: Path, elements: list[bytes], element: bytes) -> bool:
    path.write_bytes(joined(elements))
    descriptor = DISK.open_to_change(path)
    try:
        found, sure = append_in_place(str(path), descriptor, len(joined(elements)) - 3, element)
        assert found == os.stat(path)
        return sure
    finally:
        DISK.close(descriptor)


@pytest.mark.parametrize("size", [100, 1000, PAGE - 200, 3 * PAGE + 500])
def test_a_patch_that_fits_its_page_is_one_write(tmp_path: Path, recorded: list[Call], size: int) -> None:
    elements, new = list_of_size(size), one(3, 50)
    assert append(tmp_path / "a", elements, new)
    assert recorded == [("write", b",\n" + new + b"\n]\n", size), ("sync", b"", 0)]
    assert (tmp_path / "a").read_bytes() == joined([*elements, new])


@pytest.mark.parametrize("size", [*range(PAGE - 80, PAGE + 1, 3), 2 * PAGE - 1])
def test_otherwise_the_part_beyond_the_end_comes_first(tmp_path: Path, recorded: list[Call], size: int) -> None:
    elements, new = list_of_size(size), one(3, 60)
    append(tmp_path / "a", elements, new)
    patch = b",\n" + new + b"\n]\n"
    if size // PAGE == (size + len(patch) - 1) // PAGE:
        assert recorded[0] == ("write", patch, size)
    else:
        assert recorded == [("write", patch[3:], size + 3), ("write", b",\n{", size), ("sync", b"", 0)]
    assert (tmp_path / "a").read_bytes() == joined([*elements, new])


def test_what_was_there_is_never_written(tmp_path: Path, recorded: list[Call]) -> None:
    for size in range(PAGE - 300, PAGE + 300, 7):
        append(tmp_path / "a", list_of_size(size), one(3, size % 700))
    assert min(offset for kind, _, offset in recorded if kind == "write") >= PAGE - 300
    assert [kind for kind, _, _ in recorded].count("sync") == len(range(PAGE - 300, PAGE + 300, 7))


def states(old: bytes, calls: list[Call]) -> Iterator[bytes]:
    """What a disk may hold after a power cut: each sector of each write there or not, the file long enough or not."""
    pieces = []
    for _, data, offset in (call for call in calls if call[0] == "write"):
        while data:
            size = min(SECTOR - offset % SECTOR, len(data))
            pieces.append((data[:size], offset))
            data, offset = data[size:], offset + size
    full = max(offset + len(data) for data, offset in pieces)
    choices = [*itertools.product((False, True), repeat=len(pieces))]
    for chosen in random.Random(5).sample(choices, min(64, len(choices))):
        state = bytearray(old)
        for (data, offset), there in zip(pieces, chosen, strict=True):
            if there:
                state.extend(bytes(max(0, offset - len(state))))
                state[offset : offset + len(data)] = data
        yield bytes(state)
        yield bytes(state) + bytes(max(0, full - len(state)))
        for cut in range(len(old), len(state), 197):
            yield bytes(state[:cut])


@pytest.mark.parametrize("size", [300, *range(SECTOR - 5, SECTOR + 2), *range(PAGE - 5, PAGE + 2), PAGE - 300])
@pytest.mark.parametrize("length", [10, 400, 600, 3000, 9000])
def test_after_a_power_cut_it_is_the_old_list_or_the_new_one(
    tmp_path: Path, recorded: list[Call], size: int, length: int
) -> None:
    elements, new = list_of_size(size), one(3, length)
    append(tmp_path / "a", elements, new)
    seen = 0
    for state in states(joined(elements), recorded):
        found = scan(state)
        assert found.elements in (elements, [*elements, new])
        assert found.fault is None or found.broken_off
        seen += len(found.elements)
    assert seen


@pytest.mark.parametrize("size", [300, PAGE - 20])
@pytest.mark.parametrize("failing", [1, 2])
def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded: list[Call], size: int, failing: int
) -> None:
    elements, count = list_of_size(size), itertools.count(1)
    before = DISK.write

    def full(descriptor: int, data: bytes, offset: int) -> None:
        if next(count) == failing:
            before(descriptor, data[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "no space left")
        before(descriptor, data, offset)

    monkeypatch.setattr(DISK, "write", full)
    if size == 300 and failing == 2:
        append(tmp_path / "a", elements, one(3, 200))
        return
    with pytest.raises(OSError, match="no space left") as raised:
        append(tmp_path / "a", elements, one(3, 200))
    assert not isinstance(raised.value, Unsure)
    assert (tmp_path / "a").read_bytes() == joined(elements)
    # What was taken back is on the disk before anything else is written there.
    assert [kind for kind, _, _ in recorded][-2:] == ["truncate", "sync"]


def test_a_flush_that_failed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fails(descriptor: int) -> None:
        tried.append(descriptor)
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(DISK, "sync", fails)
    for size in (300, PAGE - 20):
        tried.clear()
        with pytest.raises(Unsure, match="input/output error"):
            append(tmp_path / "a", list_of_size(size), one(3, 200))
        assert len(tried) == 1
        assert (tmp_path / "a").read_bytes() == joined(list_of_size(size))


def test_a_disk_that_does_nothing_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(DISK, "write", fails)
    with pytest.raises(Unsure):
        append(tmp_path / "a", list_of_size(300), one(3, 200))


def test_the_time_is_one_that_no_tick_of_the_clock_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jan_core.folder.append.time.time_ns", lambda: 1_790_000_000_123_456_700)
    sure = append(tmp_path / "a", list_of_size(300), one(3, 5))
    assert sure == ((tmp_path / "a").stat().st_mtime_ns == 1_790_000_000_123_456_700)

    def refused(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(DISK, "set_time", refused)
    assert append(tmp_path / "a", list_of_size(300), one(3, 5)) is False
    assert os.path.getsize(tmp_path / "a") > 300


def test_a_time_that_somebody_else_gave_meanwhile_is_not_sure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = DISK.sync

    def changed(descriptor: int) -> None:
        sync(descriptor)
        os.utime(tmp_path / "a", ns=(1, 1))

    monkeypatch.setattr(DISK, "sync", changed)
    assert append(tmp_path / "a", list_of_size(300), one(3, 5)) is False
