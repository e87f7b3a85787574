from __future__ import annotations

import os
from pathlib import Path

import pytest
from jan_ctransformers.doctor import checks


def test_the_library_loads_here() -> None:
    (check,) = checks()
    verdict = check.run()
    assert verdict.ok
    assert "libctransformers" in verdict.why or "ctransformers.dll" in verdict.why


def test_a_machine_without_a_binary_is_told_how_to_go_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # What Python imports at its start makes the other process believe that it runs on another machine.
    (tmp_path / "sitecustomize.py").write_text("import platform\nplatform.machine = lambda: 'aarch64'\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    verdict = checks()[0].run()
    assert not verdict.ok
    assert "no binary for" in verdict.why
    assert "aarch64" in verdict.why
    assert "--no-binary ctransformers" in verdict.remedy
