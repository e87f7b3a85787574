from __future__ import annotations

import os
from pathlib import Path

import pytest
from jan_workers import threads


@pytest.mark.parametrize(
    ("cpus", "smt", "expected"), [(1, "0", 1), (2, "0", 1), (8, "0", 7), (2, "1", 1), (16, "1", 8), (1, "1", 1)]
)
def test_a_core_is_left_to_everything_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpus: int, smt: str, expected: int
) -> None:
    told = tmp_path / "active"
    told.write_text(smt + "\n")
    monkeypatch.setattr(threads, "_SMT", str(told))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(cpus)), raising=False)
    assert threads.default_threads() == expected


def test_where_the_system_does_not_tell_it_still_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(threads, "_SMT", str(tmp_path / "nothing"))
    assert threads.default_threads() >= 1
