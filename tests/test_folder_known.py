from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.elements import joined
from jan_core.folder.known import COST, Memory
from jan_core.folder.views import Astray

OLD = 1_700_000_000 * 10**9


def names(values: dict[str, Any]) -> list[str]:
    return [values["id"]] if isinstance(values.get("id"), str) else []


def one(number: int, text: str = "") -> bytes:
    return json.dumps({"id": f"msg_{number}", "text": text}, separators=(",", ":")).encode()


class File:
    """A file, what is known of it, and how many bytes of it are read."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = str(path)
        self.memory = Memory(names)
        self.read = 0
        self.time = OLD
        self.save(joined([one(number) for number in range(1000)]))
        read = DISK.read

        def counted(descriptor: int, size: int, offset: int) -> bytes:
            found = read(descriptor, size, offset)
            self.read += len(found)
            return found

        monkeypatch.setattr(DISK, "read", counted)

    def save(self, data: bytes, *, later: bool = True) -> None:
        """Write in place, at a time long past."""
        self.data = data
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as file:
            file.write(data)
            file.truncate()
        self.time += 10**9 * later
        os.utime(self.path, ns=(self.time, self.time))

    def append(self, *elements: bytes) -> None:
        """As another process does."""
        self.save(self.data[:-3] + b",\n" + b",\n".join(elements) + b"\n]\n")

    def end(self) -> int:
        self.read = 0
        descriptor = DISK.open(self.path)
        try:
            return self.memory.end(self.path, descriptor, os.fstat(descriptor))[0]
        finally:
            DISK.close(descriptor)

    def places(self, name: str, *, anew: bool = False, at_once: bool = False) -> list[int]:
        self.read = 0
        descriptor = DISK.open(self.path)
        try:
            found = os.fstat(descriptor)
            return self.memory.places(self.path, descriptor, found, name, anew=anew, at_once=at_once)
        finally:
            DISK.close(descriptor)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> File:
    # The real ctime is now, which would leave everything in doubt; that has its own test.
    monkeypatch.setattr("jan_core.folder.known.is_settled", lambda found, now: True)
    return File(tmp_path / "a", monkeypatch)


def test_a_file_is_read_once(file: File) -> None:
    assert file.end() == len(file.data) - 3
    assert file.read >= len(file.data)
    assert file.end() == len(file.data) - 3
    assert file.read == 0


def test_of_what_was_appended_only_that_is_read(file: File) -> None:
    file.end()
    file.append(one(1000), one(1001))
    assert file.end() == len(file.data) - 3
    assert file.read < 500
    file.places("msg_3")
    assert file.read >= len(file.data)
    file.append(one(1002))
    assert file.places("msg_1002") == [file.data.index(one(1002))]
    assert file.places("msg_1000") == [file.data.index(one(1000))]
    assert file.read < 500


def test_any_other_change_is_read_whole(file: File) -> None:
    file.places("msg_1")
    for data in (
        joined([one(number) for number in range(999)]),
        joined([one(number, "longer") for number in range(1500)]),
        joined([one(number, "LONGER") for number in range(1500)]),
        joined([one(number, "LONGER") for number in range(1500)]).replace(b'"msg_7"', b'"msg_x"'),
    ):
        file.save(data)
        assert file.end() == len(data) - 3
        assert file.read >= len(data)
    assert file.places("msg_7") == []
    assert file.places("msg_x") == [file.data.index(one(7, "LONGER").replace(b"msg_7", b"msg_x"))]


def test_a_last_element_that_was_changed_before_more_was_appended(file: File) -> None:
    file.places("msg_1")
    file.data = file.data.replace(b'"msg_999"', b'"msg_xxx"')
    file.append(one(1000))
    assert file.places("msg_xxx") == [file.data.index(b'{"id":"msg_xxx"')]
    assert file.places("msg_999") == []


def test_another_file_that_begins_and_goes_on_alike(file: File) -> None:
    file.places("msg_1")
    os.rename(file.path, file.path + ".old")
    file.data = file.data.replace(b'"msg_7"', b'"msg_x"')
    file.append(one(1000))
    assert file.places("msg_x") == [file.data.index(b'{"id":"msg_x"')]


def test_another_file_under_the_name_is_read_whole(file: File) -> None:
    file.end()
    other = file.path + ".new"
    Path(other).write_bytes(file.data)
    os.utime(other, ns=(file.time, file.time))
    os.replace(other, file.path)
    file.end()
    assert file.read >= len(file.data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[\n]\n",
        b"[]",
        joined([one(1)])[:-1],
        joined([one(1)]) + b"x",
        b"[\n" + one(1) + b",\n" + one(2)[:-1] + b",\n" + one(3) + b"\n]\n",
        b"[\n" + one(1) + b",\n1,\n" + one(3) + b"\n]\n",
    ],
)
def test_what_is_not_in_order_is_told(file: File, data: bytes) -> None:
    file.places("msg_1")
    file.save(data)
    for _ in range(2):
        with pytest.raises(Astray):
            file.end()
        with pytest.raises(Astray):
            file.places("msg_1")


def test_a_bad_addition_is_told_and_a_good_one_after_it_found(file: File) -> None:
    file.places("msg_1")
    good = file.data
    file.append(one(1000), one(1001)[:-2])
    with pytest.raises(Astray):
        file.end()
    file.save(good)
    file.append(one(1000), one(1001))
    assert file.end() == len(file.data) - 3
    assert len(file.places("msg_1000")) == 1


def test_own_appends_need_no_look(file: File) -> None:
    file.places("msg_1")
    for number in (1000, 1001):
        end = file.end()
        file.append(one(number))
        file.memory.appended(file.path, end, one(number), os.stat(file.path), sure=True)
        assert file.end() == len(file.data) - 3
        assert file.read == 0
        assert file.places(f"msg_{number}") == [end + 2]
        assert file.read == 0


def test_an_append_that_a_reader_saw_first_is_taken_in_once(file: File) -> None:
    file.places("msg_1")
    end = file.end()
    file.append(one(1000))
    assert file.places("msg_1000") == [end + 2]
    file.memory.appended(file.path, end, one(1000), os.stat(file.path), sure=True)
    assert file.places("msg_1000") == [end + 2]
    assert file.end() == len(file.data) - 3


def test_a_thorough_look_reads_again_only_what_others_wrote(file: File) -> None:
    file.places("msg_1")
    assert file.places("msg_x", anew=True) == []
    assert file.read == 0
    # A change in the middle that leaves the size, and then an append, look like an append.
    file.data = file.data.replace(b'"msg_7"', b'"msg_x"')
    file.append(one(1000))
    assert file.places("msg_x") == []
    assert file.places("msg_x", anew=True) == [file.data.index(b'{"id":"msg_x"')]
    assert file.read >= len(file.data)
    assert file.places("msg_y", anew=True) == []
    assert file.read == 0


def test_at_once_nothing_is_read(file: File) -> None:
    with pytest.raises(BlockingIOError):
        file.places("msg_1", at_once=True)
    assert file.read == 0
    place = file.places("msg_1")
    assert file.places("msg_1", at_once=True) == place
    file.append(one(1000))
    with pytest.raises(BlockingIOError):
        file.places("msg_1", at_once=True)
    held = file.memory._guards[hash(file.path) % len(file.memory._guards)]
    with held, pytest.raises(BlockingIOError):
        file.places("msg_1", at_once=True)


def test_what_may_not_show_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled = False
    monkeypatch.setattr("jan_core.folder.known.is_settled", lambda found, now: settled)
    file = File(tmp_path / "a", monkeypatch)
    file.end()
    file.end()
    assert file.read >= len(file.data)  # it may have been edited in the same tick
    end = file.end()
    file.append(one(1000))
    file.memory.appended(file.path, end, one(1000), os.stat(file.path), sure=False)
    file.end()
    assert 0 < file.read < 500  # of an own append the end is looked at
    settled = True
    file.end()
    assert 0 < file.read < 500
    file.end()
    assert file.read == 0


def test_memory_is_bounded(tmp_path: Path) -> None:
    memory = Memory(names, budget=20 * COST)
    for number in range(200):
        path = tmp_path / str(number)
        path.write_bytes(joined([one(1), one(2)]))
        descriptor = DISK.open(path)
        try:
            found = os.fstat(descriptor)
            memory.end(str(path), descriptor, found)
            if number % 2:
                memory.places(str(path), descriptor, found, "msg_1", anew=False, at_once=False)
            memory.end(str(tmp_path / str(number)), descriptor, found)
        finally:
            DISK.close(descriptor)
        assert memory._spent == sum(cost for _, cost in memory._files.values()) <= 20 * COST
    assert 10 <= len(memory._files) <= 20
    for path in [*memory._files]:
        memory.forget(path)
    memory.forget("never")
    assert memory._spent == 0


def test_the_one_in_use_is_kept_however_large(tmp_path: Path) -> None:
    memory = Memory(names, budget=COST)
    path = tmp_path / "a"
    path.write_bytes(joined([one(number) for number in range(1000)]))
    descriptor = DISK.open(path)
    try:
        found = os.fstat(descriptor)
        for number in (1, 999):
            assert memory.places(str(path), descriptor, found, f"msg_{number}", anew=False, at_once=False)
    finally:
        DISK.close(descriptor)
    assert len(memory._files) == 1


def test_many_threads_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [File(tmp_path / str(number), monkeypatch) for number in range(4)]
    memory = files[0].memory
    memory._budget = 3 * COST
    failed: list[BaseException] = []

    def look() -> None:
        try:
            for number in range(100):
                file = files[number % 4]
                descriptor = DISK.open(file.path)
                try:
                    found = os.fstat(descriptor)
                    places = memory.places(file.path, descriptor, found, "msg_5", anew=False, at_once=False)
                    assert file.data.index(one(5)) in places
                    assert memory.end(file.path, descriptor, found)[0] == len(file.data) - 3
                finally:
                    DISK.close(descriptor)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert memory._spent == sum(cost for _, cost in memory._files.values())
