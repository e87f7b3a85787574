from __future__ import annotations

import sys

import pytest
from jan_code import walls
from jan_code.doctor import checks

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bubblewrap is for Linux only")


def test_without_bubblewrap_less_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (check,) = checks()
    verdict = check.run()
    assert verdict.ok
    assert "bubblewrap" in verdict.remedy
    assert "without bubblewrap" in verdict.warnings[0]


def test_one_that_works_is_told() -> None:
    path, told = walls.find_bwrap()
    if path is None:
        pytest.skip(told)
    (check,) = checks()
    assert "inside bubblewrap" in check.run().why
