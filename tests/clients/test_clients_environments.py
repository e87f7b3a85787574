"""The clients' environments themselves: made once, by one of those who want them, or a failure that says why."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.environments import PINS, python_of


@pytest.fixture
def pins(tmp_path: Path) -> Path:
    folder = tmp_path / "pins"
    folder.mkdir()
    (folder / "empty.txt").write_text("")
    return folder


def test_an_environment_is_made_once(tmp_path: Path, pins: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        (python,) = {one.result() for one in [pool.submit(python_of, "empty", pins, tmp_path) for _ in range(3)]}
    assert subprocess.run([python, "-c", "pass"], check=True, timeout=60).returncode == 0
    made = python.lstat()
    assert python_of("empty", pins, tmp_path).lstat() == made
    # What an interrupted run left is made anew; new pins get a new one.
    (python.parents[2] / "finished").unlink()
    python.unlink()
    assert python_of("empty", pins, tmp_path).exists()
    (pins / "empty.txt").write_text("# changed\n")
    assert python_of("empty", pins, tmp_path) != python


def test_what_cannot_be_made_fails_the_test(tmp_path: Path, pins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(PINS / "llm-comply.txt", pins)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(pytest.fail.Exception, match="(?s)a client's environment cannot be made: .*network") as failed:
        python_of("llm-comply", pins, tmp_path)
    assert "Traceback" not in str(failed.value)
    assert not list(tmp_path.glob("llm-comply-*/finished"))
