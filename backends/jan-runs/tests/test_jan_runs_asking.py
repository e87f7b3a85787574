from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from jan_runs import asking, patience

from jan_core.errors import Busy, ContextLengthExceeded, NotSupported
from jan_core.hookspecs import hookimpl
from jan_core.schemas.threads import ThreadUpdate
from jan_core.testing.scripted import ScriptedChat

from .conftest import HERE, Talk

pytestmark = pytest.mark.anyio


class Narrow(ScriptedChat):
    """An engine whose context holds so many words, and that is busy so many times.

    Attributes:
        tells: whether its errors say how many.
        foretells: whether it says so before it is asked.
        counts: whether it counts tokens.
        crowded: how many times it is too busy to count.
    """

    words = 1_000
    tells = True
    foretells = False
    counts = True
    busy = crowded = 0
    asked: list[int]
    first: list[str]
    counted: int

    async def create_stream(self, body: Any) -> AsyncIterator[Any]:
        type(self).asked.append(len(body.messages))
        type(self).first.append(body.messages[0].content)
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
        if type(self).crowded > 0:
            type(self).crowded -= 1
            raise Busy("full")
        type(self).counted += 1
        return self._count(body)

    async def context_length(self, body: Any) -> int:
        if not self.foretells:
            raise NotSupported("no")
        return self.words

    @staticmethod
    def _count(body: Any) -> int:
        return sum(len(one.content.split()) for one in body.messages)


@hookimpl
def provide_chat(settings: Any, jan: Any) -> Narrow:
    return Narrow(jan)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Talk:
    import sys

    for name, value in (("asked", []), ("first", []), ("counted", 0), ("busy", 0), ("crowded", 0)):
        monkeypatch.setattr(Narrow, name, value, raising=False)
    monkeypatch.setattr(patience, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(patience, "LONGEST_PAUSE", 0.01)
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
        assert Narrow.counted <= 5

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


class TestRoomForTheAnswer:
    """Where the engine tells its context before it is asked."""

    @pytest.fixture(autouse=True)
    def foretelling(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "foretells", True)

    @pytest.mark.parametrize(("messages", "shown"), [(180, 180), (187, 187), (188, 187), (240, 187), (500, 187)])
    async def test_a_quarter_of_the_context_is_left_also_where_the_prompt_would_fit(
        self, narrow: Talk, messages: int, shown: int
    ) -> None:
        async with narrow:
            await narrow.say(*["one two three four"] * messages)
            run = await narrow.end(await narrow.run())
        assert (run.status, Narrow.asked) == ("completed", [shown])
        assert Narrow.counted <= 5

    async def test_a_limit_that_is_less_leaves_more_for_the_prompt(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say(*["one two three four"] * 400)
            parameters = {"parameters": {"max_tokens": 100}}
            await narrow.jan.threads.update(narrow.thread, ThreadUpdate.model_validate(parameters))
            run = await narrow.end(await narrow.run())
        assert (run.status, Narrow.asked) == ("completed", [225])

    async def test_what_is_surely_short_is_not_counted(self, narrow: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "words", 8_192)
        async with narrow:
            await narrow.say(*["one two three four"] * 20)
            run = await narrow.end(await narrow.run(instructions="Be kind."))
        assert (run.status, Narrow.asked, Narrow.counted) == ("completed", [21], 0)

    async def test_with_instructions_and_the_newest_of_a_user(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say("a b", "word " * 900)
            run = await narrow.end(await narrow.run(instructions="Be kind."))
        # It does not leave a quarter, and is shown all the same: it is what is asked.
        assert (run.status, Narrow.asked, Narrow.first) == ("completed", [2], ["Be kind."])

    async def test_so_many_messages_as_the_run_says_are_not_shortened(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say(*["one two three four"] * 240)
            strategy = {"type": "last_messages", "last_messages": 240}
            run = await narrow.end(await narrow.run(truncation_strategy=strategy))
        assert (run.status, Narrow.asked, Narrow.counted) == ("completed", [240], 0)

    async def test_no_more_is_read_than_could_fit(self, narrow: Talk) -> None:
        async with narrow:
            await narrow.say(*["x" * 5_000] * 150)
            seen: list[Any] = []
            plain = narrow.jan.messages.list

            async def listed(thread_id: str, query: Any) -> Any:
                seen.append(query)
                return await plain(thread_id, query)

            narrow.jan.messages.list = listed
            run = await narrow.run()
            async with asyncio.timeout(10):
                while not Narrow.asked:
                    await asyncio.sleep(0.01)
            assert len(seen) == 1
            assert (await narrow.end(run)).status == "completed"
        assert Narrow.asked == [4]


async def was_asked(talk: Talk, times: int) -> None:
    async with asyncio.timeout(20):
        while len(talk.engine.asked) < times:
            await asyncio.sleep(0.01)


class TestAtOnce:
    async def test_who_waits_in_line_has_read_nothing(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "AT_ONCE", 2)
        async with Talk(tmp_path) as talk:
            threads = [await talk.say({"wait": 1.0, "say": ["a"]}) for _ in range(5)]
            runs = [await talk.jan.runs.create(thread, talk.request()) for thread in threads]
            await was_asked(talk, 2)
            await asyncio.sleep(0.1)
            assert len(talk.engine.asked) == 2
            for thread, run in zip(threads, runs, strict=True):
                talk.thread = thread
                assert (await talk.end(run)).status == "completed"
            assert len(talk.stored._loop._asking._lines) == 0

    async def test_one_that_answers_keeps_no_place(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "AT_ONCE", 1)
        async with Talk(tmp_path) as talk:
            await talk.say({"say": ["a"], "hang": True})
            first = (talk.thread, (await talk.run()).id)
            await talk.say({"say": ["b"]})
            assert (await talk.end(await talk.run())).status == "completed"
            await talk.jan.runs.cancel(*first)

    async def test_a_run_can_be_cancelled_in_line(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(asking, "AT_ONCE", 1)
        async with Talk(tmp_path) as talk:
            await talk.say({"wait": 60})
            first = (talk.thread, (await talk.run()).id)
            await was_asked(talk, 1)
            await talk.say("hello")
            run = await talk.run()
            await asyncio.sleep(0.05)
            await talk.jan.runs.cancel(talk.thread, run.id)
            assert (await talk.end(run)).status == "cancelled"
            await talk.jan.runs.cancel(*first)


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

    async def test_also_one_that_is_too_full_to_count(self, narrow: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "crowded", 3)
        async with narrow:
            await narrow.say("hello")
            run = await narrow.end(await narrow.run(max_prompt_tokens=300))
        assert (run.status, Narrow.crowded, Narrow.counted) == ("completed", 0, 1)

    async def test_longer_than_any_number_of_times(self, narrow: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "busy", 40)
        async with narrow:
            await narrow.say("hello")
            run = await narrow.end(await narrow.run())
        assert (run.status, len(Narrow.asked)) == ("completed", 41)

    async def test_a_run_can_be_cancelled_while_it_waits(self, narrow: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Narrow, "busy", 1_000)
        monkeypatch.setattr(patience, "FIRST_PAUSE", 60)
        async with narrow:
            await narrow.say("hello")
            run = await narrow.run()
            await narrow.jan.runs.cancel(narrow.thread, run.id)
            assert (await narrow.end(run)).status == "cancelled"
