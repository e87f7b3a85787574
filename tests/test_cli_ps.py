from __future__ import annotations

import json
import time
from typing import Any

import pytest

from jan_core.cli import ps
from tests.command_line import Call

MODEL: dict[str, Any] = {
    "id": "m",
    "engine": "red",
    "purpose": "",
    "state": "loaded",
    "pid": 7,
    "memory": 100 << 20,
    "estimated": 120 << 20,
    "context": 4096,
    "slots": 4,
    "busy": 1,
    "waiting": 2,
    "pinned": False,
    "idle_since": None,
    "until": None,
}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the server answers; the way to it has tests of its own."""
    models: list[dict[str, Any]] = []
    monkeypatch.setattr(ps, "ask", lambda root, config, url, request: {"data": models})
    return models


def rows(jan: Call) -> list[str]:
    done = jan("ps")
    assert (done.code, done.err) == (0, "")
    return done.out.splitlines()


def test_nothing_is_a_headline(jan: Call, told: list[dict[str, Any]]) -> None:
    (line,) = rows(jan)
    assert line.split()[:4] == ["MODEL", "ENGINE", "STATE", "PID"]
    assert json.loads(jan("ps", "--json").out) == []


def test_a_model_at_work_and_idle_ones(jan: Call, told: list[dict[str, Any]]) -> None:
    now = time.time()
    told.append(MODEL)
    told.append({**MODEL, "id": "idle", "busy": 0, "waiting": 0, "idle_since": now - 90, "until": now + 510})
    told.append({**MODEL, "id": "old", "purpose": "embeddings", "idle_since": now - 90_000, "pinned": True})
    told.append({**MODEL, "id": "new", "state": "waiting", "pid": None, "memory": None})
    lines = rows(jan)
    assert lines[1].split() == ["m", "red", "loaded", "7", "100", "MiB", "120", "MiB", "4096", "1/4", "2"]
    assert lines[2].split()[-6:] == ["0", "90", "s", "in", "8", "min"]
    assert lines[3].startswith("old (embeddings)")
    assert "loaded, pinned" in lines[3]
    assert lines[3].split()[-3:] == ["25", "h", "stays"]
    assert lines[4].split() == ["new", "red", "waiting", "?", "120", "MiB", "4096", "1/4", "2"]
    assert json.loads(jan("ps", "--json").out) == told
