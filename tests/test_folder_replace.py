from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from pathlib import Path

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.replace import remove_leftovers, replace_file, sync_folder


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_new_file_and_a_replaced_one(tmp_path: Path) -> None:
    path = tmp_path / "thread.json"
    replace_file(path, b"one")
    assert path.read_bytes() == b"one"
    replace_file(str(path), b"")
    assert path.read_bytes() == b""
    big = os.urandom(3_000_000)
    replace_file(path, big)
    assert path.read_bytes() == big
    assert names(tmp_path) == ["thread.json"]


def test_the_longest_name_fits(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    replace_file(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits to keep")
def test_permissions_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"old")
    path.chmod(0o600)
    replace_file(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits to set")
def test_permissions_that_are_asked_for_hold_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    write = DISK.write

    def recording(descriptor: int, data: bytes, offset: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        write(descriptor, data, offset)

    monkeypatch.setattr(DISK, "write", recording)
    monkeypatch.setattr(DISK, "chmod", None)  # a file made with more, and narrowed later, could be open by then
    path = tmp_path / "secrets"
    replace_file(path, b"new", mode=0o600)
    path.chmod(0o644)
    replace_file(path, b"newer", mode=0o600)
    assert seen == [0o600, 0o600]
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (0o600, b"newer")


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs")
    path = tmp_path / "ours"
    path.symlink_to(outside)
    replace_file(path, b"ours")
    assert outside.read_bytes() == b"theirs"
    assert not path.is_symlink()
    assert path.read_bytes() == b"ours"


def test_file_then_rename_then_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, sync_folder, replace = DISK.sync, DISK.sync_folder, DISK.replace

    def recording_sync(descriptor: int) -> None:
        done.append("file")
        sync(descriptor)

    def recording_sync_folder(path: str) -> None:
        done.append("folder")
        assert path == str(tmp_path)
        sync_folder(path)

    def recording_replace(old: str, new: str) -> None:
        done.append("rename")
        assert os.path.dirname(old) == os.path.dirname(new)
        replace(old, new)

    monkeypatch.setattr(DISK, "sync", recording_sync)
    monkeypatch.setattr(DISK, "sync_folder", recording_sync_folder)
    monkeypatch.setattr(DISK, "replace", recording_replace)
    replace_file(tmp_path / "a", b"x")
    assert done == ["file", "rename", "folder"]


@pytest.mark.parametrize("call", ["write", "sync", "replace", "chmod"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(DISK, call, full)
    with pytest.raises(OSError, match="no space"):
        replace_file(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "gone" / "a", b"x")
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")


def test_what_a_crash_left_is_removed_some_time_later(tmp_path: Path) -> None:
    for name in (".tmp-new", ".tmp-old", "old"):
        (tmp_path / name).write_bytes(b"x")
    for name in (".tmp-old", "old"):
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ".tmp-folder").mkdir()
    os.utime(tmp_path / ".tmp-folder", (1, 1))
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "none")
    assert {".tmp-new", "old"} <= set(names(tmp_path)) <= {".tmp-new", "old", ".tmp-folder", ".tmp-old"}
    (tmp_path / ".tmp-folder").rmdir()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".tmp-new", "old"]


def test_a_reader_sees_one_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "a"
    versions = {bytes([digit]) * 50_000 for digit in b"0123456789"}
    replace_file(path, min(versions))
    seen: set[bytes] = set()
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in sorted(versions) * 3:
            replace_file(path, version)
    finally:
        stop.set()
        reader.join()
    assert seen <= versions


def test_what_need_not_last_is_whole_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(DISK, "sync", lambda descriptor: flushed.append("file"))
    monkeypatch.setattr(DISK, "sync_folder", lambda path: flushed.append("folder"))
    replace_file(tmp_path / "a", b"one", lasting=False)
    assert ((tmp_path / "a").read_bytes(), flushed) == (b"one", ["file"])
    replace_file(tmp_path / "a", b"two")
    assert flushed == ["file", "file", "folder"]


def test_a_file_gets_its_name_when_what_it_waits_for_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, done = tmp_path / "run.json", list[str]()
    monkeypatch.setattr(DISK, "sync", lambda descriptor: done.append("flushed"))
    replace_file(path, b"one", before=lambda: done.append("named already" if path.exists() else "not named"))
    assert done == ["flushed", "not named"]

    def fail() -> None:
        raise OSError(errno.EIO, "the other was not flushed")

    with pytest.raises(OSError, match="the other"):
        replace_file(path, b"two", before=fail)
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == ["run.json"]
