from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.copies import copy_file, is_same, link_file


def nothing(n: int) -> None:
    """Told of bytes; whoever asks for none passes this."""


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original"
    path.write_bytes(os.urandom(3 << 20))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def test_a_link_is_the_same_file(original: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert not is_same(original, target, nothing)
    assert link_file(original, target)
    assert os.path.samefile(original, target)
    assert is_same(original, target, nothing)
    with pytest.raises(FileExistsError):
        link_file(original, target)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_disk_that_cannot_link(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(old: object, new: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(DISK, "link", refuse)
    assert not link_file(original, tmp_path / "target")
    with pytest.raises(OSError):
        link_file(tmp_path / "none", tmp_path / "target")
    with pytest.raises(OSError):
        link_file(original, tmp_path / "none" / "target")
    assert not (tmp_path / "target").exists()


def test_a_copy_is_whole_and_has_its_originals_time(original: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    told: list[int] = []
    copy_file(original, target, told.append)
    assert target.read_bytes() == original.read_bytes()
    assert not os.path.samefile(original, target)
    assert sum(told) == original.stat().st_size
    assert target.stat().st_mtime == 1_600_000_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["original", "target"]


def test_files_are_read_only_where_size_and_time_do_not_tell(original: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    copy_file(original, target, nothing)
    told: list[int] = []
    assert is_same(original, target, told.append)
    assert told == []
    os.utime(target)
    assert is_same(original, target, told.append)
    assert sum(told) == original.stat().st_size
    content = bytearray(original.read_bytes())
    content[-1] ^= 1
    target.write_bytes(content)
    assert not is_same(original, target, nothing)
    target.write_bytes(b"short")
    assert not is_same(original, target, nothing)


def test_what_breaks_off_leaves_nothing(original: Path, tmp_path: Path) -> None:
    def stop(n: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_file(original, tmp_path / "target", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_a_file_that_changes_meanwhile_is_not_taken(original: Path, tmp_path: Path) -> None:
    def change(n: int) -> None:
        with original.open("ab") as file:
            file.write(b"more")

    with pytest.raises(OSError, match="changed while"):
        copy_file(original, tmp_path / "target", change)
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_content_then_name_then_folder(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("sync", "replace", "sync_folder"):
        real = getattr(DISK, name)
        monkeypatch.setattr(DISK, name, lambda *given, name=name, real=real: (done.append(name), real(*given))[1])
    copy_file(original, tmp_path / "target", nothing)
    assert done[0] == "sync"
    assert [name for name in done if name != "sync"] == ["replace", "sync_folder"]
    assert done.index("replace") > done.index("sync")
