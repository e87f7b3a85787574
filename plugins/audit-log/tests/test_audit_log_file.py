from __future__ import annotations

import os
from pathlib import Path

import pytest
from jan_audit_log import file as file_module
from jan_audit_log.file import LogFile, put_aside


def log_file(root: Path, *, fsync: bool = False, rotate_bytes: int = 0, keep: int = 0) -> LogFile:
    return LogFile(root, str(root / "logs" / "audit.jsonl"), fsync=fsync, rotate_bytes=rotate_bytes, keep=keep)


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "LOOK_SECONDS", 0)


@pytest.mark.parametrize("fsync", [False, True])
def test_lines_are_added_at_the_end(tmp_path: Path, *, fsync: bool) -> None:
    for number in range(3):
        file = log_file(tmp_path, fsync=fsync)
        file.prepare()
        assert file.write([b"%d\n" % number, b"more\n"]) == 2
        file.flush()
        file.close()
    assert (tmp_path / "logs/audit.jsonl").read_bytes() == b"0\nmore\n1\nmore\n2\nmore\n"


def test_a_line_that_was_cut_off_stays_one_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/audit.jsonl").write_bytes(b'whole\n{"cut')
    file = log_file(tmp_path)
    file.prepare()
    file.write([b"next\n"])
    assert (tmp_path / "logs/audit.jsonl").read_bytes() == b'whole\n{"cut\nnext\n'


def test_a_disk_that_is_full_is_told_with_how_many_lines_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = log_file(tmp_path)
    file.prepare()
    whole = os.write
    for room, count in ((7, 1), (0, 0), (4, 0)):
        monkeypatch.setattr(os, "write", lambda fd, data, room=room: whole(fd, data[:room]))
        assert file.write([b"line1\n", b"line2\n"]) == count
    monkeypatch.setattr(os, "write", whole)
    assert file.write([b"line3\n"]) == 1
    lines = (tmp_path / "logs/audit.jsonl").read_bytes().split(b"\n")
    assert lines == [b"line1", b"l", b"lin", b"line3", b""]


def test_a_file_that_was_put_aside_or_taken_away_is_begun_anew(tmp_path: Path) -> None:
    file, path = log_file(tmp_path), tmp_path / "logs/audit.jsonl"
    file.prepare()
    file.write([b"1\n"])
    path.rename(tmp_path / "old")
    file.prepare()
    file.write([b"2\n"])
    path.unlink()
    file.prepare()
    file.write([b"3\n"])
    assert ((tmp_path / "old").read_bytes(), path.read_bytes()) == (b"1\n", b"3\n")


def test_a_large_file_is_put_aside_and_the_newest_are_kept(tmp_path: Path) -> None:
    file, path = log_file(tmp_path, rotate_bytes=10, keep=2), tmp_path / "logs/audit.jsonl"
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/audit-of-mine.jsonl").write_text("not a file of the log")
    for number in range(5):
        file.prepare()
        file.write([b"line %d....\n" % number])
    aside = put_aside(str(path))
    assert [Path(one).read_bytes() for one in aside] == [b"line 2....\n", b"line 3....\n"]
    assert path.read_bytes() == b"line 4....\n"
    assert (tmp_path / "logs/audit-of-mine.jsonl").exists()


def test_two_servers_of_one_root_put_nothing_over_another(tmp_path: Path) -> None:
    files = [log_file(tmp_path, rotate_bytes=20) for _ in range(2)]
    for number in range(40):
        file = files[number % 2]
        file.prepare()
        file.write([b"%06d\n" % number])
    path = tmp_path / "logs/audit.jsonl"
    found = b"".join(Path(one).read_bytes() for one in [*put_aside(str(path)), str(path)])
    assert sorted(found.split()) == [b"%06d" % number for number in range(40)]


def test_links_pipes_and_second_names_are_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    root = tmp_path / "root"
    (root / "logs").mkdir(parents=True)
    path = root / "logs/audit.jsonl"
    path.symlink_to(outside / "x")
    with pytest.raises(OSError, match="leads out of the root"):
        log_file(root).prepare()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(OSError, match="no plain file"):
        log_file(root).prepare()
    path.unlink()
    path.write_bytes(b"")
    os.link(path, root / "second")
    with pytest.raises(OSError, match="second name"):
        log_file(root).prepare()
    assert list(outside.iterdir()) == []


def test_the_newest_lines_are_found_also_in_the_file_before(tmp_path: Path) -> None:
    file = log_file(tmp_path, rotate_bytes=10)
    for number in range(3):
        file.prepare()
        file.write([b"line %d....\n" % number])
    assert file.newest() == {b"line 1....\n", b"line 2....\n"}
