from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jan_core.folder import lock_file as lock
from jan_core.folder.lock_file import Taken, hold

CHILD = """
import sys
from pathlib import Path
from jan_core.folder.lock_file import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_at_a_time_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with hold(path), pytest.raises(Taken), hold(path):
        pytest.fail("held twice")
    assert list(tmp_path.iterdir()) == []
    with hold(path, wait=True):
        pass


def test_who_waited_holds_the_file_that_others_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.lock"
    opened, holding, over = threading.Event(), threading.Event(), threading.Event()
    really = lock._lock

    def tell(descriptor: int, wait: bool) -> None:
        opened.set()
        really(descriptor, wait)

    def second() -> None:
        with hold(path, wait=True):
            holding.set()
            over.wait(30)

    waiter = threading.Thread(target=second)
    with hold(path):
        monkeypatch.setattr(lock, "_lock", tell)
        waiter.start()
        assert opened.wait(30)
    # The file that the waiter has open is gone by now; it must not be content with that one.
    assert holding.wait(30)
    try:
        with pytest.raises(Taken), hold(path):
            pytest.fail("held twice")
    finally:
        over.set()
        waiter.join()


def test_a_killed_owner_leaves_it_free(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    command = [sys.executable, "-c", CHILD, str(path)]
    root = Path(__file__).parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Taken), hold(path):
            pytest.fail("held twice")
        child.kill()
        child.wait()
    with hold(path):
        pass
    assert list(tmp_path.iterdir()) == []
