"""What the kernel's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import Call, caller, kill_started
from tests.parts import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder on `sys.path` for packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    made = Site(folder)
    yield made
    made.forget()


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    kill_started()


@pytest.fixture
def jan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run the command `jan` in this process, without the environment's own variables for it, and with a fresh home."""
    for name in [name for name in os.environ if name.startswith("JAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TYPER_USE_RICH", "0")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return caller(capsys)
