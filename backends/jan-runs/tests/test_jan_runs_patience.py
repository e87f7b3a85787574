from __future__ import annotations

import asyncio

import pytest
from jan_runs import patience
from jan_runs.patience import patient

from jan_core.errors import Busy, EngineError

pytestmark = pytest.mark.anyio


class Queue:
    """What is full so many times."""

    def __init__(self, full: int, error: Exception | None = None) -> None:
        self.full, self.asked, self.error = full, 0, error

    async def ask(self) -> str:
        self.asked += 1
        if self.asked <= self.full:
            raise Busy("full")
        if self.error is not None:
            raise self.error
        return "here"


async def test_a_full_queue_is_asked_until_it_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.0001)
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.001)
    queue = Queue(100)
    assert await patient(queue.ask) == "here"
    assert queue.asked == 101


async def test_any_other_error_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.0001)
    queue = Queue(1, EngineError("broken"))
    with pytest.raises(EngineError):
        await patient(queue.ask)
    assert queue.asked == 2


async def test_the_pauses_grow_and_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await patient(Queue(12).ask)
    for earlier, later in zip(slept[:4], slept[2:6], strict=True):
        assert later > earlier
    assert max(slept) <= patience.LONGEST_PAUSE * 1.25
    assert sum(slept) > 4 * patience.LONGEST_PAUSE
