from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.elements import joined
from tests.list_files import Folder, numbers, one


@pytest.fixture(params=["in place", "rewrite"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    return Folder(tmp_path, rewrite=request.param == "rewrite")


@pytest.fixture
def in_place(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


LAYOUTS = {
    "pretty": lambda elements: json.dumps([json.loads(one) for one in elements], indent=2).encode(),
    "byte order mark": lambda elements: b"\xef\xbb\xbf" + joined(elements),
    "windows": lambda elements: joined(elements).replace(b"\n", b"\r\n"),
    "no final newline": lambda elements: joined(elements)[:-1],
    "one line": lambda elements: b"[" + b",".join(elements) + b"]",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_other_layouts_are_read_and_put_right_by_the_next_write(folder: Folder, layout: str) -> None:
    data = LAYOUTS[layout](numbers(0, 3))
    folder.append(one(9))
    for write in (lambda: folder.append(one(3)), lambda: folder.edit("msg_0", one(0)), lambda: folder.edit("x", None)):
        folder.file.write_bytes(data)
        assert [json.loads(raw) for raw in folder.read()] == [json.loads(raw) for raw in numbers(0, 3)]
        assert folder.find("msg_1") is not None
        assert folder.file.read_bytes() == data  # reading leaves a person's formatting alone
        write()
        found = [json.loads(raw)["id"] for raw in folder.read()]
        assert found in (["msg_0", "msg_1", "msg_2", "msg_3"], ["msg_0", "msg_1", "msg_2"])
    assert folder.copies() == []


@pytest.mark.parametrize("data", [b"", b"[]", b"\n", b"[ ]\n", None])
def test_emptied_or_deleted_under_the_server(folder: Folder, data: bytes | None) -> None:
    folder.append(*numbers(0, 3))
    if data is None:
        folder.file.unlink()
    else:
        folder.file.write_bytes(data)
    assert folder.read() == []
    assert folder.find("msg_0") is None
    folder.append(one(3))
    folder.check([one(3)])
    assert folder.copies() == []


BROKEN = {
    "a comma too many": b"[\n" + one(0) + b",\n" + one(1) + b",\n]\n",
    "a comma too few": b"[\n" + one(0) + b"\n" + one(1) + b"\n]\n",
    "a bracket lost in the middle": joined([one(0), one(7)[:-1], one(1)]),
    "no bracket at all": one(0) + b"\n" + one(1) + b"\n",
    "twice": joined([one(0), one(1)]) + joined([one(3)]),
    "no text": b"[\n" + one(0) + b",\n" + one(7).replace(b"x", b"\xff")[:-2] + b'\xff"},\n' + one(1) + b"\n]\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_of_a_broken_file_a_copy_is_kept(folder: Folder, kind: str) -> None:
    folder.append(one(5))
    folder.file.write_bytes(BROKEN[kind])
    assert folder.read() == [one(0), one(1)]
    assert folder.newest(1) == [one(1)]
    assert folder.file.read_bytes() == BROKEN[kind]  # somebody may be mending it
    assert folder.copies() == []
    folder.append(one(2))
    folder.check(numbers(0, 3))
    assert folder.copies() == [BROKEN[kind]]
    folder.append(one(3))
    assert folder.edit("msg_3", None)
    assert folder.copies() == [BROKEN[kind]]


def test_every_broken_version_is_kept_once(folder: Folder) -> None:
    for data in (b"nonsense", b"other", b"nonsense"):
        folder.file.write_bytes(data)
        os.utime(folder.path, (1_790_000_000, 1_790_000_000))
        folder.append(one(1))
        folder.check([one(1)])
    assert [path.name for path in sorted(folder.file.parent.glob("*broken*"))] == [
        "messages.json.broken-1790000000",
        "messages.json.broken-1790000000-2",
    ]
    assert folder.copies() == [b"nonsense", b"other"]


OLD = joined(numbers(0, 3))
TORN = {
    "behind the end": OLD + b'"id":"msg_3","text":""}\n]\n',
    "behind the end, in part": OLD + b'"id":"ms',
    "without the body": OLD[:-3] + b",\n{" + b"\x00" * 30,
    "cut": OLD[:-3] + b',\n{"id":"msg_3","te',
    "only the comma": OLD[:-3] + b",\n",
    "without its bracket": OLD[:-3] + b',\n\n"id":"msg_3","text":""}\n]\n',
    "without an end": OLD[:-3],
}


@pytest.mark.parametrize("kind", TORN)
def test_an_append_that_broke_off_is_put_in_order_by_one_read(folder: Folder, kind: str) -> None:
    folder.file.write_bytes(TORN[kind])
    restarted = folder.fresh()
    assert restarted.newest(1) == [one(2)]
    restarted.check(numbers(0, 3))
    assert restarted.copies() == [TORN[kind]]
    restarted.append(one(4))
    restarted.check([*numbers(0, 3), one(4)])


@pytest.mark.parametrize("kind", TORN)
@pytest.mark.parametrize("look", ["oldest", "find", "missing"])
def test_whatever_is_asked_for(folder: Folder, kind: str, look: str) -> None:
    folder.file.write_bytes(TORN[kind])
    restarted = folder.fresh()
    if look == "oldest":
        assert restarted.read(lambda view: next(view.oldest_first()).raw) == one(0)
    else:
        assert restarted.find("msg_1" if look == "find" else "x") == (one(1) if look == "find" else None)
    restarted.check(numbers(0, 3))


@pytest.mark.parametrize("kind", TORN)
def test_and_by_the_next_write(folder: Folder, kind: str) -> None:
    folder.append(*numbers(0, 3))
    folder.file.write_bytes(TORN[kind])
    folder.append(one(3))
    folder.check(numbers(0, 4))


def test_a_file_that_is_being_saved_is_not_put_in_order_under_the_editors_hands(folder: Folder) -> None:
    folder.append(*numbers(0, 3))
    with open(folder.path, "r+b") as editor:
        editor.truncate(0)
        editor.write(OLD[: len(OLD) // 2])
        editor.flush()
        later = time.time() + 1
        os.utime(folder.path, (later, later))
        assert folder.read() == [one(0)]
        editor.write(OLD[len(OLD) // 2 :])
    assert folder.read() == numbers(0, 3)
    folder.check(numbers(0, 3))
    folder.file.write_bytes(OLD[:-9])
    os.utime(folder.path, (later - 60, later - 60))
    assert folder.read() == numbers(0, 2)
    folder.check(numbers(0, 2))
    assert folder.copies() == [OLD[:-9]]


@pytest.mark.parametrize("call", ["create", "write", "sync", "replace", "sync_folder"])
def test_putting_in_order_may_be_broken_off_anywhere(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    class Killed(BaseException):
        pass

    def killed(*arguments: object) -> None:
        raise Killed

    before = getattr(DISK, call)
    for attempt in range(6):
        folder.file.write_bytes(TORN["cut"])
        os.utime(folder.path, (1_790_000_000, 1_790_000_000))
        calls = 0

        def sometimes(*arguments: object, attempt: int = attempt) -> Any:
            nonlocal calls
            calls += 1
            return killed() if calls > attempt else before(*arguments)

        monkeypatch.setattr(DISK, call, sometimes)
        try:
            folder.fresh().read()
        except Killed:
            pass
        monkeypatch.setattr(DISK, call, before)
        assert folder.fresh().read() == numbers(0, 3)
        assert json.loads(folder.file.read_bytes())
        assert set(folder.copies()) == {TORN["cut"]}


def test_a_disk_that_cannot_be_written_to_keeps_nobody_from_reading(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.file.write_bytes(TORN["cut"])

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(DISK, "create", full)
    assert folder.fresh().read() == numbers(0, 3)


def test_what_a_broken_off_write_left_is_removed_by_a_later_one(folder: Folder) -> None:
    folder.append(one(0))
    left = folder.file.parent / ".tmp-0123456789abcdef"
    left.write_bytes(b"x")
    os.utime(left, (1, 1))
    assert folder.edit("msg_0", None)
    folder.check([])
