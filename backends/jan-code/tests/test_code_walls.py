from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jan_code import limits, walls
from jan_code.doctor import checks
from jan_code.settings import CodeSettings

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bubblewrap is for Linux only")


def test_the_environment_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in walls.environment("/x").values()
    assert walls.environment("/x")["HOME"] == "/x"


@linux
def test_without_bubblewrap_less_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert walls.find_bwrap() == (None, "bubblewrap (bwrap) is not installed.")
    (check,) = checks()
    verdict = check.run()
    assert verdict.ok
    assert "bubblewrap" in verdict.remedy
    assert "without bubblewrap" in verdict.warnings[0]


@linux
def test_one_that_does_not_work_counts_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho no permission >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert walls.find_bwrap() == (None, "bubblewrap does not work here: no permission.")


@linux
def test_one_that_works_is_told() -> None:
    path, told = walls.find_bwrap()
    if path is None:
        pytest.skip(told)
    (check,) = checks()
    assert "inside bubblewrap" in check.run().why


def test_the_command_finds_the_child() -> None:
    done = subprocess.run(walls.plain(), input=b"", capture_output=True, timeout=60, check=False)
    assert b"Error" not in done.stderr


@linux
def test_a_limit_of_processes_counts_from_now_where_the_system_counts_from_nought() -> None:
    settings = CodeSettings(processes=5)
    assert limits.of(settings, walls=True)["processes"] == 5
    assert limits.of(settings, walls=False)["processes"] > 5
