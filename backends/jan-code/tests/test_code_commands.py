"""`jan assistants code` and `jan assistants install`, as they are typed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.command_line import Call, caller


@pytest.fixture
def jan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run the command `jan` in this process on a fresh root, without the environment's own variables for it."""
    for name in [name for name in os.environ if name.startswith("JAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TYPER_USE_RICH", "0")
    monkeypatch.setenv("JAN_ROOT", str(tmp_path))
    return caller(capsys)


def test_new_code_install(jan: Call, tmp_path: Path) -> None:
    index = tmp_path / "assistants" / "shakespeare" / "src" / "index.py"
    done = jan("assistants", "new", "Shakespeare", "--code")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(
        f"shakespeare is here. jan assistants show shakespeare\nIts code is in {index}: public functions there are "
    )
    assert "def roll(" in index.read_text()
    done = jan("assistants", "install", "shakespeare")
    assert (done.code, done.out) == (0, "shakespeare has 0 packages for Python, for it asks for none.\n")
    assert (index.parents[1] / ".venv" / "pyvenv.cfg").exists()


def test_code_for_an_assistant_that_is_there(jan: Call, tmp_path: Path) -> None:
    assert jan("assistants", "new", "Poet").code == 0
    assert jan("assistants", "code", "poet").code == 0
    assert (tmp_path / "assistants" / "poet" / "src" / "index.py").exists()
    done = jan("assistants", "code", "poet")
    assert (done.code, done.out) == (1, "")
    assert done.err.endswith("src is there already; it was left as it is.\n")
    assert jan("assistants", "code", "nobody").err == "jan: There is no assistant 'nobody'. jan assistants ls\n"


def test_they_are_listed(jan: Call) -> None:
    told = jan("assistants", "--help").out
    assert "install" in told
    assert "code" in told
    done = jan("assistants", "install", "nobody")
    assert (done.code, done.out, done.err) == (1, "", "jan: There is no assistant 'nobody'. jan assistants ls\n")
