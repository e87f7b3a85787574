from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jan_audit_log import spare
from jan_audit_log.spare import Spare, leftovers, taken_over

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no /dev/shm")

KILLED = """
import os, signal, sys
from jan_audit_log.spare import Spare
left = Spare(sys.argv[1], sys.argv[2])
left.add(b"1\\n"), left.add(b"2\\n"), left.add(b"cut")
os.kill(os.getpid(), signal.SIGKILL)
"""


def lines_of(path: str) -> list[bytes]:
    with taken_over(path) as lines:
        return list(lines)


def test_what_a_killed_process_left_is_taken_over_once(tmp_path: Path) -> None:
    log = str(tmp_path / "audit.jsonl")
    subprocess.run([sys.executable, "-c", KILLED, log, str(tmp_path)], check=False)
    (path,) = leftovers(log, str(tmp_path))
    assert lines_of(path) == [b"1\n", b"2\n"]
    assert leftovers(log, str(tmp_path)) == []
    assert lines_of(path) == []


def test_it_stays_where_it_could_not_be_used(tmp_path: Path) -> None:
    log = str(tmp_path / "audit.jsonl")
    subprocess.run([sys.executable, "-c", KILLED, log, str(tmp_path)], check=False)
    (path,) = leftovers(log, str(tmp_path))
    with pytest.raises(OSError, match="full"), taken_over(path):
        raise OSError("full")
    assert lines_of(path) == [b"1\n", b"2\n"]


def test_that_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    log = str(tmp_path / "audit.jsonl")
    mine = Spare(log, str(tmp_path))
    mine.add(b"1\n")
    (path,) = leftovers(log, str(tmp_path))
    assert lines_of(path) == []
    assert os.path.exists(path)
    assert leftovers(str(tmp_path / "other.jsonl"), str(tmp_path)) == []
    mine.close()
    assert leftovers(log, str(tmp_path)) == []


def test_it_forgets_what_is_written_and_keeps_the_rest(tmp_path: Path) -> None:
    mine = Spare("log", str(tmp_path))
    for number in range(4):
        assert mine.add(b"%d\n" % number)
    mine.keep([b"2\n", b"3\n"])
    (path,) = leftovers("log", str(tmp_path))
    assert (Path(path).read_bytes(), mine.size) == (b"2\n3\n", 4)
    mine.add(b"4\n")
    assert Path(path).read_bytes() == b"2\n3\n4\n"
    mine.keep([])
    assert (Path(path).read_bytes(), mine.size) == (b"", 0)
    mine.close(remove=False)
    assert lines_of(path) == []


def test_no_room_is_told_and_leaves_no_piece_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Spare("log", str(tmp_path))
    mine.add(b"1\n")
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: whole(fd, data[:1]))
        assert not mine.add(b"22\n")
    assert mine.add(b"3\n")
    (path,) = leftovers("log", str(tmp_path))
    assert Path(path).read_bytes() == b"1\n3\n"
    mine.close()


def test_nobody_else_can_read_it_and_links_are_not_followed(tmp_path: Path) -> None:
    mine = Spare("log", str(tmp_path))
    (path,) = leftovers("log", str(tmp_path))
    assert os.stat(path).st_mode & 0o077 == 0
    mine.close()
    target = tmp_path / "target"
    target.write_bytes(b"1\n")
    os.symlink(target, path)
    assert lines_of(path) == []
    assert target.exists()
    assert spare.is_possible()
