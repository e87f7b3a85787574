from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from jan_runs import asking

from jan_core.errors import Busy, ContextLengthExceeded
from jan_core.hookspecs import hookimpl
from jan_core.testing.scripted import ScriptedChat

from .conftest import HERE, Talk

pytestmark = pytest.mark.anyio


class Narrow(ScriptedChat):
    """An engine whose context holds so many words, and that is busy so many times.

    Attributes:
        tells: whether its errors say how many.
        counts: whether it counts tokens.
    """

    words = 1_000
    tells = True
    counts = True
    busy = 0
    asked: list[int]
    counted: int

    async def create_stream(self, body: Any) -> AsyncIterator[Any]:
        type(self).asked.append(len(body.messages))
        if type(self).busy > 0:
            type(self).busy -= 1
            raise Busy("full")
        if self._count(body) >= self.words:
            raise ContextLengthExceeded("too long", context=self.words if self.tells else None)
        body.messages[-1].content = "fine"
        async for chunk in super().create_stream(body):
            yield chunk

    async def count_tokens(self, body: Any) -> int:
        if not self.counts:
            return int(await ScriptedChat.count_tokens(self, body))
        type(self).counted += 1
        return self._count(body)

    @staticmethod
    def _count(body: Any) -> int:
        return sum(len(one.content.split()) for one in body.messages)


@hookimpl
def provide_chat(settings: Any, jan: Any) -> Narrow:
    return Narrow(jan)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Talk:
    import sys

    for name, value in (("asked", []), ("counted", 0), ("busy", 0)):
        monkeypatch.setattr(Narrow, name, value, raising=False)
    monkeypatch.setattr(asking, "FIRST_PAUSE", 0.001)
    monkeypatch.setitem(sys.modules, f"{HERE}_narrow", sys.modules[__name__])
    return Talk(tmp_path, modules={"chat-scripted": f"{HERE}_narrow"})


class TestContext:
    async def test_the_oldest_messages_go_until_the_others_fit(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say(*["one two three four"] * 500)
            run = await narrow.end(await narrow.run())
        assert run.status == "completed"
        # A quarter of the context is left for the answer.
        assert Narrow.asked == [500, 187]
        assert Narrow.counted <= 16

    @pytest.mark.parametrize(("tells", "counts"), [(False, True), (True, False), (False, False)])
    async def test_without_figures_it_is_halved_until_it_fits(
        self, narrow: Talk, monkeypatch: pytest.MonkeyPatch, tells: bool, counts: bool
    ) -> None:
        monkeypatch.setattr(Narrow, "tells", tells)
        monkeypatch.setattr(Narrow, "counts", counts)
        async with narrow:
            await narrow.say(*["one two three four"] * 500)
            run = await narrow.end(await narrow.run())
        assert run.status == "completed"
        assert Narrow.asked == [500, 250, 125]

    async def test_where_the_newest_does_not_fit_the_run_fails(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say("a", "word " * 1_500)
            run = await narrow.end(await narrow.run())
        assert (run.status, run.last_error and run.last_error.code) == ("failed", "invalid_prompt")

    async def test_so_many_messages_as_the_run_says_or_none(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say(*["one two three four"] * 500)
            strategy = {"type": "last_messages", "last_messages": 300}
            run = await narrow.end(await narrow.run(truncation_strategy=strategy))
        assert (run.status, Narrow.asked) == ("failed", [300])


class TestMaxPromptTokens:
    async def test_so_many_of_the_newest_messages_as_it_allows(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say(*["one two three four"] * 100)
            run = await narrow.end(await narrow.run(max_prompt_tokens=256))
        assert (run.status, Narrow.asked) == ("completed", [64])

    async def test_where_the_newest_has_more_the_run_is_incomplete(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say("a", "word " * 300)
            run = await narrow.end(await narrow.run(max_prompt_tokens=256))
        assert run.status == "incomplete"
        assert run.incomplete_details is not None
        assert run.incomplete_details.reason == "max_prompt_tokens"
        assert (run.started_at is not None, Narrow.asked) == (True, [])


class TestBusy:
    async def test_a_full_queue_is_asked_again(self, narrow: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "busy", 3)
        async with narrow:
            await narrow.say("hello")
            run = await narrow.end(await narrow.run())
        assert (run.status, len(Narrow.asked)) == ("completed", 4)

    async def test_not_for_ever(self, narrow: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "busy", 1_000)
        monkeypatch.setattr(asking, "LONGEST_PAUSE", 0.001)
        async with narrow:
            await narrow.say("hello")
            run = await narrow.end(await narrow.run())
        assert (run.status, run.last_error and run.last_error.code) == ("failed", "rate_limit_exceeded")
        assert len(Narrow.asked) == asking.RETRIES + 1

    async def test_a_run_can_be_cancelled_while_it_waits(self, narrow: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "busy", 1_000)
        monkeypatch.setattr(asking, "FIRST_PAUSE", 60)
        async with narrow:
            await narrow.say("hello")
            run = await narrow.run()
            await narrow.jan.runs.cancel(narrow.thread, run.id)
            assert (await narrow.end(run)).status == "cancelled"
