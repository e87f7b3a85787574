from __future__ import annotations

from typing import Any

import pytest
from jan_workers.settings import WorkersSettings
from pydantic import ValidationError


def test_the_defaults() -> None:
    found = WorkersSettings()
    assert (found.queue, found.keep_alive, found.memory_mib, found.pinned) == (64, 600, 0, [])
    assert found.load_seconds > found.wait_seconds
    assert WorkersSettings(keep_alive=-1).keep_alive < 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": -1},
        {"queue": "64"},
        {"keep_alive": -2},
        {"keep_alive": float("nan")},
        {"keep_alive": 1e300},
        {"memory_mib": -1},
        {"memory_mib": 1.5},
        {"memory_mib": 1 << 60},
        {"wait_seconds": -1},
        {"load_seconds": 0},
        {"hang_seconds": 0},
        {"pinned": "m"},
        {"pinned": [1]},
        {"idle_seconds": 5},
    ],
)
def test_a_bad_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WorkersSettings(**wrong)
