from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jan_core.folder.append import PAGE, Unsure
from jan_core.folder.calls import DISK
from jan_core.folder.elements import joined
from jan_core.folder.objects import Damaged
from tests.list_files import Folder, numbers, one

OLD = joined(numbers(0, 3))


@pytest.fixture(params=["in place", "rewrite"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Folder:
    return Folder(tmp_path, rewrite=request.param == "rewrite")


@pytest.fixture
def in_place(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_what_was_appended_is_there(folder: Folder) -> None:
    assert folder.read() == []
    elements = [one(number, number * 37 % 3000) for number in range(150)]
    for count, element in enumerate(elements):
        folder.append(element)
        assert folder.newest(1) == [element]
        if count % 10 == 0:
            folder.check(elements[: count + 1])
            assert folder.fresh().newest(2) == elements[: count + 1][::-1][:2]
    folder.check(elements)
    for number in (0, 77, 149):
        assert folder.find(f"msg_{number}") == folder.fresh().find(f"msg_{number}") == elements[number]
    assert folder.find("msg_150") is None


def test_edits_and_removals(folder: Folder) -> None:
    folder.append(*numbers(0, 4))
    assert folder.edit("msg_1", one(1, 50))
    folder.check([one(0), one(1, 50), one(2), one(3)])
    assert folder.edit("msg_3", None)
    assert not folder.edit("msg_3", None)
    folder.append(one(4))
    folder.check([one(0), one(1, 50), one(2), one(4)])
    for number in (0, 1, 2, 4):
        assert folder.edit(f"msg_{number}", None)
    folder.check([])
    assert folder.read() == []
    folder.append(one(5))
    folder.check([one(5)])


def test_an_edit_that_raises_changes_nothing(folder: Folder) -> None:
    folder.append(*numbers(0, 3))
    with pytest.raises(ZeroDivisionError), folder.lists.change(folder.path, "t") as change:
        change.edit("msg_1", lambda raw: raw * (1 // 0))
    folder.check(numbers(0, 3))


def test_replacing_securing_and_removing(folder: Folder) -> None:
    with folder.lists.change(folder.path, "t") as change:
        change.remove()
        change.replace(numbers(0, 3))
        change.secure()
        assert change.find("msg_2") == one(2)
    folder.check(numbers(0, 3))
    (folder.file.parent / "messages.json.broken-1").write_bytes(b"secret")
    (folder.file.parent / "thread.json").write_bytes(b"{}")
    with folder.lists.change(folder.path, "t") as change:
        change.remove()
    assert [path.name for path in folder.file.parent.iterdir()] == ["thread.json"]
    assert folder.read() == []


def test_appending_reads_nothing_and_writes_what_is_new(in_place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place.append(one(0))
    with in_place.lists.change(in_place.path, "t") as change:
        change.replace(numbers(0, 20_000))
    in_place.append(one(20_000))
    amounts: list[int] = []
    read, write = DISK.read, DISK.write

    def counted_read(descriptor: int, size: int, offset: int) -> bytes:
        amounts.append(size)
        return read(descriptor, size, offset)

    def counted_write(descriptor: int, data: bytes, offset: int) -> None:
        amounts.append(len(data))
        write(descriptor, data, offset)

    monkeypatch.setattr(DISK, "read", counted_read)
    monkeypatch.setattr(DISK, "write", counted_write)
    in_place.append(one(20_001, 100), one(20_002, 100))
    assert sum(amounts) <= 2 * len(one(20_002, 100)) + 10
    monkeypatch.undo()
    in_place.check([*numbers(0, 20_001), one(20_001, 100), one(20_002, 100)])


def test_every_write_is_flushed_before_it_returns(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the operation, nothing stays unflushed: neither what was written to a file, nor a name in a folder."""
    unflushed: set[object] = set()
    paths: dict[int, str] = {}
    calls = {name: getattr(DISK, name) for name in ("create", "open_to_change", "open", "write", "truncate", "sync")}
    calls |= {name: getattr(DISK, name) for name in ("replace", "unlink", "sync_folder")}

    def opened(name: str) -> Callable[[str], int]:
        def call(path: str) -> int:
            descriptor: int = calls[name](path)
            paths[descriptor] = str(path)
            return descriptor

        return call

    def changed(name: str) -> Callable[..., None]:
        def call(descriptor: int, *rest: object) -> None:
            unflushed.add(paths[descriptor])
            calls[name](descriptor, *rest)

        return call

    def sync(descriptor: int) -> None:
        calls["sync"](descriptor)
        unflushed.discard(paths[descriptor])

    def replace(old: Path, new: Path) -> None:
        assert str(old) not in unflushed
        calls["replace"](old, new)
        unflushed.add(Path(new).parent)

    def unlink(path: str) -> None:
        calls["unlink"](path)
        unflushed.add(Path(path).parent)

    def sync_folder(path: str) -> None:
        calls["sync_folder"](path)
        unflushed.discard(Path(path))

    for name in ("create", "open_to_change", "open"):
        monkeypatch.setattr(DISK, name, opened(name))
    for name in ("write", "truncate"):
        monkeypatch.setattr(DISK, name, changed(name))
    for name, call in {"sync": sync, "replace": replace, "unlink": unlink, "sync_folder": sync_folder}.items():
        monkeypatch.setattr(DISK, name, call)
    for number in range(40):
        folder.append(one(number, 300))
        assert not unflushed
    assert folder.edit("msg_3", one(3))
    assert not unflushed
    assert folder.edit("msg_4", None)
    assert not unflushed
    folder.file.write_bytes(folder.file.read_bytes()[:-20])
    folder.append(one(99))
    assert not unflushed
    with folder.lists.change(folder.path, "t") as change:
        change.remove()
    assert not unflushed


def test_the_first_append_to_a_file_makes_sure_of_its_name(in_place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    # Who made it may have been killed between renaming the file and flushing the folder.
    in_place.file.write_bytes(joined(numbers(0, 2)))
    flushed: list[str] = []
    monkeypatch.setattr(DISK, "sync_folder", lambda path: flushed.append(str(path)))
    in_place.append(one(2))
    assert flushed[-1] == os.path.dirname(in_place.path)
    flushed.clear()
    in_place.append(one(3))
    assert flushed == []


def test_after_a_failed_append_the_next_write_writes_all(in_place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place.append(*numbers(0, 3))
    before = in_place.file.stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr(DISK, "sync", fails)
        with pytest.raises(Unsure):
            in_place.append(one(3))
    assert in_place.read() == numbers(0, 3)
    in_place.append(one(4))
    after = in_place.file.stat().st_ino
    assert after != before
    in_place.check([*numbers(0, 3), one(4)])
    in_place.append(one(5))
    assert in_place.file.stat().st_ino == after


def test_after_a_name_that_was_not_flushed_too(in_place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place.append(*numbers(0, 3))
    with monkeypatch.context() as patched:
        patched.setattr(DISK, "sync_folder", fails)
        with pytest.raises(OSError, match="input/output"):
            in_place.edit("msg_0", None)
    before = in_place.file.stat().st_ino
    in_place.append(one(3))
    assert in_place.file.stat().st_ino != before
    in_place.check(numbers(1, 4))


def fails(*arguments: object) -> None:
    raise OSError(errno.EIO, "input/output error")


def test_what_could_not_be_flushed_is_not_called_secure(in_place: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    in_place.append(*numbers(0, 3))
    with monkeypatch.context() as patched:
        patched.setattr(DISK, "sync", fails)
        for _ in range(2):
            with pytest.raises(OSError, match="input/output"), in_place.lists.change(in_place.path, "t") as change:
                change.secure()
    before = in_place.file.stat().st_ino
    with in_place.lists.change(in_place.path, "t") as change:
        change.secure()
    assert in_place.file.stat().st_ino != before
    in_place.check(numbers(0, 3))


def test_a_full_disk_is_told_and_the_next_append_works(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.append(*numbers(0, 3))
    write = DISK.write

    def full(descriptor: int, data: bytes, offset: int) -> None:
        room = max(0, len(OLD) + 7 - offset)
        write(descriptor, data[:room], offset)
        if room < len(data):
            raise OSError(errno.ENOSPC, "no space left")

    for element in (one(3), one(3, 2 * PAGE)):
        with monkeypatch.context() as patched:
            patched.setattr(DISK, "write", full)
            with pytest.raises(OSError, match="no space left"):
                folder.append(element)
        folder.check(numbers(0, 3))
    folder.append(one(4))
    folder.check([*numbers(0, 3), one(4)])


def test_an_edit_by_hand_is_noticed(folder: Folder) -> None:
    folder.append(*[one(number, 3) for number in range(50)])
    assert folder.find("msg_7") == one(7, 3)
    for size in (3, 3, 4, 2):
        # In place, of the same size at first, right after a write, and never mind the time.
        changed = folder.file.read_bytes().replace(b'"msg_7"', b'"msg_8"').replace(b"xxx", b"z" * size)
        with open(folder.path, "r+b") as file:
            file.write(changed)
            file.truncate()
        assert folder.find("msg_7") is None
        assert json.loads(folder.read()[7]) == {"id": "msg_8", "text": "z" * size}
        folder.append(one(99))
        assert folder.edit("msg_99", None)
        with folder.lists.change(folder.path, "t") as change:
            change.replace([one(number, 3) for number in range(50)])
        assert folder.find("msg_7") == one(7, 3)


def test_an_edit_in_the_same_tick_does_not_make_an_invalid_file(in_place: Folder) -> None:
    for _ in range(20):
        with in_place.lists.change(in_place.path, "t") as change:
            change.replace(numbers(0, 3))
        in_place.append(one(3))
        with open(in_place.path, "r+b") as file:
            file.write(b"[\n+")  # a broken one, of the same size
        in_place.append(one(4))
        json.loads(in_place.file.read_bytes())
        assert in_place.read()[-1] == one(4)


def test_a_file_that_an_editor_replaced_meanwhile_gets_the_element(
    in_place: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place.append(*numbers(0, 3))
    sync, left = DISK.sync, [True]

    def saved_meanwhile(descriptor: int) -> None:
        if left.pop() if left else False:
            other = in_place.path + "~"
            Path(other).write_bytes(joined([one(0), one(1, 9), one(2)]))
            os.replace(other, in_place.path)
        sync(descriptor)

    monkeypatch.setattr(DISK, "sync", saved_meanwhile)
    in_place.append(one(3))
    in_place.check([one(0), one(1, 9), one(2), one(3)])


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_nothing_is_written_through_a_link(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(OLD)
    folder.file.symlink_to(outside)
    assert folder.read() == numbers(0, 3)
    folder.append(one(3))
    assert outside.read_bytes() == OLD
    assert not folder.file.is_symlink()
    folder.check(numbers(0, 4))


@pytest.mark.skipif(sys.platform == "win32", reason="second names are seldom there")
def test_nor_into_a_file_with_a_second_name(folder: Folder, tmp_path: Path) -> None:
    folder.append(*numbers(0, 3))
    os.link(folder.path, tmp_path / "backup.json")
    folder.append(one(3))
    assert (tmp_path / "backup.json").read_bytes() == OLD
    folder.check(numbers(0, 4))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
def test_what_is_no_file_is_told(folder: Folder) -> None:
    for make in (os.mkfifo, os.mkdir):
        make(folder.path)
        for act in (folder.read, lambda: folder.append(one(1)), lambda: folder.edit("x", None)):
            with pytest.raises((Damaged, IsADirectoryError)):
                act()
        folder.file.rmdir() if folder.file.is_dir() else folder.file.unlink()


def test_at_once_or_not_at_all(in_place: Folder) -> None:
    try:
        with in_place.lists.change(in_place.path, "t") as change:
            change.replace([one(number, 500) for number in range(4999)])
        in_place.append(one(4999, 500))
        assert in_place.read(lambda view: next(view.newest_first()).raw, at_once=True) == one(4999, 500)
    except BlockingIOError:
        pytest.skip("this system cannot tell whether a read would wait")
    with pytest.raises(BlockingIOError):
        in_place.read(lambda view: view.find("msg_3"), at_once=True)
    assert in_place.find("msg_3") == one(3, 500)
    found = in_place.read(lambda view: view.find("msg_3"), at_once=True)
    assert found.raw == one(3, 500)
    with pytest.raises(BlockingIOError):
        in_place.read(at_once=True)  # all of it is more than the event loop should wait for
    in_place.file.write_bytes(b"[]")
    with pytest.raises(BlockingIOError):
        in_place.read(at_once=True)


WRITE = """
import json, sys
from pathlib import Path
from jan_core.folder.lists import Lists
from jan_core.folder.locks import Locks
root, writer, rewrite = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "rewrite"
lists = Lists(Locks(root), lambda values: [values["id"]], rewrite=rewrite)
path = str(root / "thread" / "messages.json")
for number in range(int(sys.argv[4])):
    element = {"id": f"msg_{writer}_{number}", "text": "x" * (number * 61 % 5000)}
    with lists.change(path, "t") as change:
        change.append(json.dumps(element).encode())
"""


def test_processes_and_readers_on_one_file(folder: Folder) -> None:
    count, writers = 40, 3
    kind = "rewrite" if folder.lists.rewrite else "in-place"
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(folder.root), str(writer), kind, str(count)])
        for writer in range(writers)
    ]
    own, failed = folder.fresh(), list[BaseException]()

    def read() -> None:
        seen = 0
        try:
            while any(process.poll() is None for process in processes):
                found = [json.loads(raw)["id"] for raw in folder.read()]
                assert len(found) >= seen
                seen = len(found)
                if found:
                    assert folder.find(found[-1]) is not None
        except BaseException as error:
            failed.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(count):
        own.append(json.dumps({"id": f"msg_own_{number}", "text": ""}).encode())
    for process in processes:
        assert process.wait(120) == 0
    for reader in readers:
        reader.join()
    assert not failed
    found = [value["id"] for value in json.loads(folder.file.read_bytes())]
    for writer in ("own", *map(str, range(writers))):
        mine = [id for id in found if id.startswith(f"msg_{writer}_")]
        assert mine == [f"msg_{writer}_{number}" for number in range(count)]
    assert len(found) == count * (writers + 1)
    assert folder.copies() == []
    assert all(folder.find(id) for id in found)
