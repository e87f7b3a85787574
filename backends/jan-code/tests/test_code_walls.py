from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jan_code import walls

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bubblewrap is for Linux only")


def test_the_environment_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in walls.environment("/x").values()
    assert walls.environment("/x")["HOME"] == "/x"


@linux
def test_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert walls.find_bwrap() == (None, "bubblewrap (bwrap) is not installed.")


@linux
def test_one_that_does_not_work_counts_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho no permission >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert walls.find_bwrap() == (None, "bubblewrap does not work here: no permission.")


def test_the_command_finds_the_child() -> None:
    done = subprocess.run(walls.plain(), input=b"", capture_output=True, timeout=60, check=False)
    assert b"Error" not in done.stderr
