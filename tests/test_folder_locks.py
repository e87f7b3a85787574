from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from jan_core.folder.locks import STRIPES, Locked, Locks

HOLD = """
import sys
from pathlib import Path
from jan_core.folder.locks import Locks
with Locks(Path(sys.argv[1])).hold(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(root: Path, name: str) -> subprocess.Popen[str]:
    """A process that holds a lock until its input ends."""
    arguments = [sys.executable, "-c", HOLD, str(root), name]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_lock_files_are_at_most_256_and_stay(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "new" / "root")
    for number in range(600):
        with locks.hold(f"jan-{number}"):
            pass
    names = {entry.name for entry in (tmp_path / "new" / "root" / ".locks").iterdir()}
    assert len(names) <= STRIPES
    assert names == {f"{zlib.crc32(f'jan-{number}'.encode()) % 256:02x}" for number in range(600)}


def test_one_at_a_time_among_threads(tmp_path: Path) -> None:
    locks, others = Locks(tmp_path), Locks(tmp_path)
    inside, most = 0, 0

    def work(mine: Locks) -> None:
        nonlocal inside, most
        for _ in range(50):
            with mine.hold("a"):
                inside += 1
                most = max(most, inside)
                os.stat(tmp_path)  # lets other threads run
                inside -= 1

    threads = [threading.Thread(target=work, args=(mine,)) for mine in (locks, others, locks, others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (inside, most) == (0, 1)


def test_a_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    with pytest.raises(KeyError), locks.hold("a"):
        raise KeyError
    with locks.hold("a", patience=0):
        pass


def test_whoever_waits_too_long_is_told(tmp_path: Path) -> None:
    with Locks(tmp_path).hold("jan-1"), pytest.raises(Locked, match=r"'jan-1' is being written .*\.locks"):
        Locks(tmp_path).hold("jan-1", patience=0.05).__enter__()
    locks = Locks(tmp_path)
    with locks.hold("jan-1"), pytest.raises(Locked):
        locks.hold("jan-1", patience=0).__enter__()


def test_among_processes_and_a_killed_one_gives_it_back(tmp_path: Path) -> None:
    process = holder(tmp_path, "a")
    try:
        with pytest.raises(Locked):
            Locks(tmp_path).hold("a", patience=0.05).__enter__()
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        with Locks(tmp_path).hold("a", patience=20):
            pass
    finally:
        process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="a folder with open files cannot be removed there")
def test_a_removed_folder_of_locks_is_made_again(tmp_path: Path) -> None:
    locks = Locks(tmp_path)
    process = holder(tmp_path, "a")
    try:
        shutil.rmtree(tmp_path / ".locks")
        # The old one is on a file that nobody can find any more.
        with locks.hold("a", patience=5), pytest.raises(Locked):
            Locks(tmp_path).hold("a", patience=0).__enter__()
    finally:
        process.communicate("")


def test_hostile_names_are_names_of_locks_too(tmp_path: Path) -> None:
    for name in ("../../etc/passwd", "\ud800", "", "a\x00b", "x" * 100_000):
        with Locks(tmp_path).hold(name):
            pass
    assert [entry.name for entry in tmp_path.iterdir()] == [".locks"]
