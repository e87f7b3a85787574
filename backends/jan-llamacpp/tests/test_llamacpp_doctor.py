from __future__ import annotations

import sys
from pathlib import Path

import pytest
from jan_llamacpp import doctor


def test_the_engine_loads_here() -> None:
    (check,) = doctor.checks()
    verdict = check.run()
    assert verdict.ok, verdict
    assert "xllamacpp" in verdict.why


def test_an_engine_that_does_not_load_is_told_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (package := tmp_path / "xllamacpp.py").write_text("raise ImportError('libgomp.so.1: cannot open')")
    assert package.is_file()
    (check,) = doctor.checks()
    verdict = check.run()
    assert not verdict.ok
    assert "libgomp.so.1" in verdict.why
    assert verdict.remedy == f"{sys.executable} -m pip install --force-reinstall xllamacpp"


def test_an_engine_that_takes_its_process_along_is_told_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (check,) = doctor.checks()
    assert not check.run().ok
