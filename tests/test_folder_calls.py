from __future__ import annotations

import ast
import errno
import os
import sys
from pathlib import Path

import pytest

import jan_core.folder
from jan_core.folder.calls import DISK, FileCalls

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


def written(path: Path, data: bytes) -> int:
    path.write_bytes(data)
    return DISK.open_to_change(path)


@pytest.mark.parametrize("read", [DISK.read, pytest.param(DISK.read_at_once, id="at_once")])
def test_a_read_ends_only_with_the_file(tmp_path: Path, read: object) -> None:
    assert callable(read)
    data = os.urandom(100_000)
    path = tmp_path / "a"
    path.write_bytes(data)
    descriptor = DISK.open(path)
    try:
        assert DISK.read(descriptor, len(data), 0) == data
        try:
            assert read(descriptor, 200_000, 0) == data
            assert read(descriptor, 10, 99_995) == data[-5:]
            assert read(descriptor, 10, 100_000) == b""
            assert read(descriptor, 1000, 500) == data[500:1500]
        except BlockingIOError:
            assert read is not DISK.read
    finally:
        DISK.close(descriptor)


@POSIX
def test_short_reads_and_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = written(tmp_path / "a", b"x" * 10)
    pread, pwrite = os.pread, os.pwrite
    monkeypatch.setattr(os, "pread", lambda fd, size, offset: pread(fd, min(size, 3), offset))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    try:
        DISK.write(descriptor, b"0123456789ab", 8)
        assert DISK.read(descriptor, 100, 0) == b"xxxxxxxx0123456789ab"
        DISK.truncate(descriptor, 9)
        assert DISK.read(descriptor, 100, 0) == b"xxxxxxxx0"
    finally:
        DISK.close(descriptor)


def test_a_read_that_would_wait_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = written(tmp_path / "a", b"x")

    def waits(*arguments: object) -> int:
        raise BlockingIOError(errno.EAGAIN, "would wait")

    def unknown(*arguments: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "not here")

    try:
        for found in (waits, unknown):
            monkeypatch.setattr(os, "preadv", found, raising=False)
            with pytest.raises(BlockingIOError):
                DISK.read_at_once(descriptor, 1, 0)
        monkeypatch.setattr("jan_core.folder.calls._NOWAIT", 0)
        with pytest.raises(BlockingIOError):
            DISK.read_at_once(descriptor, 1, 0)
    finally:
        DISK.close(descriptor)


def test_a_link_is_read_through_but_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    DISK.close(DISK.open(tmp_path / "link"))
    with pytest.raises(OSError) as refused:
        DISK.open_to_change(tmp_path / "link")
    assert refused.value.errno in (errno.ELOOP, errno.EMLINK)
    for name in ("theirs", "link", "dangling"):
        with pytest.raises(FileExistsError):
            DISK.create(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


@POSIX
def test_a_pipe_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    DISK.close(DISK.open(tmp_path / "pipe"))
    DISK.close(DISK.open_to_change(tmp_path / "pipe"))


def test_the_rest_of_the_calls(tmp_path: Path) -> None:
    DISK.mkdir(tmp_path / "folder")
    with pytest.raises(FileExistsError):
        DISK.mkdir(tmp_path / "folder")
    descriptor = DISK.create(tmp_path / "folder" / "a")
    DISK.sync(descriptor)
    DISK.set_time(descriptor, tmp_path / "folder" / "a", 1_700_000_000_123_456_700)
    DISK.close(descriptor)
    assert (tmp_path / "folder" / "a").stat().st_mtime_ns == 1_700_000_000_123_456_700
    DISK.sync_folder(tmp_path / "folder")
    DISK.replace(tmp_path / "folder" / "a", tmp_path / "b")
    DISK.link(tmp_path / "b", tmp_path / "c")
    DISK.unlink(tmp_path / "b")
    DISK.rmdir(tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


def test_every_call_can_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # `DISK` is one object whose methods are looked up at each call: what a test puts over them is called.
    assert type(DISK) is FileCalls
    seen: list[str] = []
    for name in [name for name in vars(FileCalls) if not name.startswith("_")]:
        monkeypatch.setattr(DISK, name, lambda *arguments, name=name: seen.append(name) or 1)
    from jan_core.folder.replace import replace_file

    replace_file(tmp_path / "a", b"x")
    assert seen == ["create", "write", "sync", "close", "replace", "sync_folder"]


CHANGES = {
    "write",
    "pwrite",
    "ftruncate",
    "truncate",
    "rename",
    "replace",
    "unlink",
    "remove",
    "rmdir",
    "mkdir",
    "link",
}


@pytest.mark.parametrize("file", ["append", "elements", "index", "known", "lists", "locks", "replace", "views"])
def test_nothing_is_changed_past_the_calls(file: str) -> None:
    source = Path(jan_core.folder.__path__[0], f"{file}.py").read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in CHANGES, f"{file}.py:{node.lineno} calls os.{node.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            assert isinstance(node.args[1], ast.Constant), f"{file}.py:{node.lineno}"
            assert node.args[1].value == "rb", f"{file}.py:{node.lineno}"
