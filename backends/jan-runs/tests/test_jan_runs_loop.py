"""Runs as tasks of a process, and of several processes on one store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from jan_runs import carrying, events, loop, states

from jan_core import call
from jan_core.errors import InvalidRequest, NotFound, Unavailable
from jan_core.schemas.runs import KeptRun, ToolOutputsRequest
from jan_core.testing.contract.run_grammar import story
from tests.parts import until

from .conftest import FUNCTION, InMemory, Place, Talk, heard, names

pytestmark = pytest.mark.anyio


async def other(talk: Talk) -> Talk:
    """Another process on the same place."""
    made = Talk(talk.root, talk.place)
    made.thread = talk.thread
    return made


class TestStart:
    async def test_whoever_listens_at_once_hears_everything(self, talk: Talk) -> None:
        async with talk:
            await talk.say("one two")
            run = await talk.run()
            run = await talk.end(run)
            feed = talk.stored._loop.start(talk.thread, run.id)
            # It has ended, and that is what there is to hear.
            assert names(await heard(feed)) == ["thread.run.completed"]

    async def test_a_run_that_is_not_there_ends_the_feed_with_an_error(self, talk: Talk) -> None:
        async with talk:
            await talk.say("one")
            for thread, code in ((talk.thread, "run_not_found"), ("jan-1-x", "thread_not_found")):
                with pytest.raises(NotFound) as caught:
                    await heard(talk.stored._loop.start(thread, "run_x"))
                assert caught.value.code == code

    async def test_several_at_once_each_in_its_thread(self, talk: Talk) -> None:
        async with talk:
            threads = [await talk.say({"say": ["a ", "b "], "rate": 20}) for _ in range(20)]
            found = []
            for thread in threads:
                talk.thread = thread
                found.append((thread, await talk.run()))
            assert {one.status for _, one in found} == {"queued"}
            for thread, run in found:
                talk.thread = thread
                assert (await talk.end(run)).status == "completed"
                assert await talk.answers() == [("completed", "a b ")]

    async def test_a_run_has_the_callers_name_and_not_its_key(self, talk: Talk) -> None:
        seen: list[Any] = []
        async with talk:
            await talk.say("one")
            plain = talk.jan.chat.create_stream

            def asked(body: Any) -> Any:
                seen.append(call.current())
                return plain(body)

            talk.jan.chat.create_stream = asked
            call.enter(call.Call("req_1", key_name="home", idempotency_key="once"))
            run = await talk.run()
            await talk.end(run)
        (context,) = seen
        assert (context.request_id, context.key_name, context.idempotency_key) == ("req_1", "home", None)


class TestStopping:
    async def test_a_run_in_progress_is_left_and_what_it_said_is_kept(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a ", "b "], "hang": True})
            run = await talk.run()
            async with asyncio.timeout(5):
                while await talk.answers() != [("in_progress", "a b ")]:
                    await asyncio.sleep(0.005)
        kept = KeptRun.model_validate_json(talk.place.runs[talk.thread][run.id])
        assert kept.run.status == "in_progress"
        assert "a b " in str(kept.request["saying"])
        assert talk.engine.open == 0

    async def test_what_is_started_then_says_so(self, talk: Talk) -> None:
        async with talk:
            await talk.say("one")
            loop = talk.stored._loop
        with pytest.raises(Unavailable):
            await heard_after(loop.start(talk.thread, "run_1"))

    async def test_the_runs_of_a_deleted_thread_stop(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"], "hang": True})
            run = await talk.run()
            await asyncio.sleep(0.02)
            await talk.jan.threads.delete(talk.thread)
            async with asyncio.timeout(5):
                while talk.stored._loop.carries(run.id) or talk.thread in talk.place.runs:
                    await asyncio.sleep(0.005)
            assert talk.engine.open == 0


async def heard_after(feed: Any) -> list[Any]:
    found = await heard(feed)
    if feed.error is not None:
        raise feed.error
    return found


async def deleted_while_heard(talk: Talk, by: Talk, told: list[Any]) -> None:
    """Listen to a run whose thread is deleted when it says something."""
    async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
        told.append(event)
        if event.event == "thread.message.delta":
            await by.jan.threads.delete(talk.thread)


class TestDeletion:
    async def test_who_listens_is_told_that_the_thread_is_gone(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a "], "hang": True})
            told: list[Any] = []
            with pytest.raises(NotFound) as caught:
                await deleted_while_heard(talk, talk, told)
            assert caught.value.code == "thread_not_found"
            assert names(told)[-1] == "thread.message.delta"
            assert talk.engine.open == 0

    async def test_so_it_is_where_another_process_deletes_it(self, talk: Talk) -> None:
        async with talk, await other(talk) as second:
            await talk.say({"say": ["a "] * 3, "rate": 20})
            with pytest.raises(NotFound) as caught:
                await deleted_while_heard(talk, second, [])
            assert caught.value.code == "thread_not_found"

    async def test_a_run_that_had_not_begun_yet_is_forgotten_too(self, talk: Talk) -> None:
        async with talk:
            await talk.say("one")
            run = await talk.end(await talk.run())
            loop = talk.stored._loop
            first, second = (loop.start(talk.thread, run.id).listen() for _ in range(2))
            await loop.stop(talk.thread)  # before its task has made a step
            for listener in (first, second):
                with pytest.raises(NotFound):
                    await asyncio.wait_for(anext(listener), 5)
            assert not loop.carries(run.id)
            assert names(await heard(loop.start(talk.thread, run.id))) == ["thread.run.completed"]

    async def test_the_timer_of_a_run_that_waits_goes_with_its_thread(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"call": [{"name": "add"}]})
            await talk.end(await talk.run(tools=[FUNCTION]))
            assert len(talk.stored._loop._timers) == 1
            await talk.stored._loop.stop("another")
            assert len(talk.stored._loop._timers) == 1
            await talk.stored._loop.stop(talk.thread)
            assert talk.stored._loop._timers == {}

    async def test_an_app_that_stops_says_so_to_who_listens(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a "], "hang": True})
            run = await talk.run()
            going = talk.stored._loop._going[run.id]
            listener = (going.turn or going.turns[0]).feed.listen()
        with pytest.raises(Unavailable):
            async for _ in listener:
                pass


class TestSeveralProcesses:
    async def test_a_run_that_another_one_holds_is_waited_for(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a "] * 5, "rate": 50})
            run = await talk.run()
            async with await other(talk) as second:
                feed = second.stored._loop.start(talk.thread, run.id)
                assert names(await heard(feed)) == ["thread.run.completed"]
                assert second.engine.asked == []
            assert await talk.answers() == [("completed", "a " * 5)]

    async def test_a_wish_to_cancel_reaches_the_one_that_holds_it(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a "], "hang": True})
            run = await talk.run()
            async with asyncio.timeout(5):
                while not await talk.answers():
                    await asyncio.sleep(0.005)
            async with await other(talk) as second:
                found = await second.jan.runs.cancel(talk.thread, run.id)
                assert found.status == "cancelling"
                assert (await second.end(run)).status == "cancelled"
            assert talk.engine.open == 0
            assert await talk.answers() == [("incomplete", "a ")]

    async def test_a_look_for_a_wish_that_fails_is_not_the_last(
        self, talk: Talk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(loop, "LONGEST_PAUSE", 0.01)
        async with talk, await other(talk) as second:
            store = talk.stored._store
            really, fails = store.wished, 3

            async def wished(thread_id: str, run_id: str) -> None:
                nonlocal fails
                if fails:
                    fails -= 1
                    raise InvalidRequest("line 3 is no JSON")
                await really(thread_id, run_id)

            store.wished = wished  # type: ignore[method-assign]
            await talk.say({"say": ["a "], "hang": True})
            run = await talk.run()
            await until(lambda: talk.stored._loop.saying(run.id) is not None)
            second.thread = talk.thread
            await second.jan.runs.cancel(talk.thread, run.id)
            assert (await second.end(run)).status == "cancelled"
        assert caplog.text.count("line 3 is no JSON") == 1

    async def test_who_listens_hears_of_it_wherever_it_was_wished(self, talk: Talk) -> None:
        async with talk, await other(talk) as second:
            await talk.say({"say": ["a "], "hang": True})
            told = []
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                told.append(event)
                if event.event == "thread.message.delta":
                    await second.jan.runs.cancel(talk.thread, told[0].data.id)
        assert story(told).statuses == ["queued", "in_progress", "cancelling", "cancelled"]

    async def test_outputs_given_elsewhere_go_on_there(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"call": [{"name": "add"}]})
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            async with await other(talk) as second:
                assert run.required_action is not None
                wanted = run.required_action.submit_tool_outputs.tool_calls[0].id
                told = {"tool_outputs": [{"tool_call_id": wanted, "output": "three"}]}
                body = ToolOutputsRequest.model_validate(told)
                found = [one async for one in second.jan.runs.submit_tool_outputs_stream(talk.thread, run.id, body)]
            assert names(found)[-1] == "thread.run.completed"
            assert len(talk.engine.asked) == 1

    async def test_a_run_ends_where_its_cancelled_turn_is_taken_by_nobody_else(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"call": [{"name": "add"}]})
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            async with await other(talk) as second:
                await second.jan.runs.cancel(talk.thread, run.id)
                assert (await second.end(run)).status == "cancelled"


class TestExpiry:
    async def test_outputs_in_time_take_the_timer_away(self, tmp_path: Path) -> None:
        async with Talk(tmp_path, expires_seconds=30) as talk:
            await talk.say({"call": [{"name": "add"}]})
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            loop = talk.stored._loop
            assert list(loop._timers) == [run.id]
            assert run.required_action is not None
            wanted = run.required_action.submit_tool_outputs.tool_calls[0].id
            told = {"tool_outputs": [{"tool_call_id": wanted, "output": "three"}]}
            await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, ToolOutputsRequest.model_validate(told))
            assert loop._timers == {}
            assert (await talk.end(run)).status == "completed"

    async def test_one_that_is_found_overdue_ends(self, tmp_path: Path, place: Place) -> None:
        async with Talk(tmp_path, place) as talk:
            await talk.say({"call": [{"name": "add"}]})
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            kept = KeptRun.model_validate_json(place.runs[talk.thread][run.id])
            kept.run = kept.run.model_copy(update={"expires_at": 5})
            place.runs[talk.thread][run.id] = kept.model_dump_json()
            feed = talk.stored._loop.start(talk.thread, run.id)
            assert names(await heard(feed)) == ["thread.run.step.expired", "thread.run.expired"]


class TestFaults:
    async def test_a_store_that_fails_leaves_the_run_to_the_next_turn(self, talk: Talk) -> None:
        async with talk:
            store = talk.stored._store
            assert isinstance(store, InMemory)
            failing = True

            async def fail(kept: KeptRun) -> None:
                if failing and kept.run.status == "in_progress":
                    raise OSError("no space left")

            store.before_write = fail
            await talk.say("one two")
            run = await talk.run()
            await talk.stored._loop.settled()
            assert (await talk.jan.runs.retrieve(talk.thread, run.id)).status == "queued"
            assert talk.engine.open == 0
            failing = False
            feed = talk.stored._loop.start(talk.thread, run.id, events.created(run))
            assert names(await heard(feed))[-1] == "thread.run.completed"
            assert await talk.answers() == [("completed", "one two ")]

    async def test_what_the_store_refuses_for_good_ends_the_run(self, talk: Talk) -> None:
        async def refuse(kept: KeptRun) -> None:
            if kept.request.get("rounds"):
                raise InvalidRequest("It is too large.", code="object_too_large")

        async with talk:
            store = talk.stored._store
            assert isinstance(store, InMemory)
            store.before_write = refuse
            await talk.say({"call": [{"name": "add"}]})
            told = story(await talk.events(tools=[FUNCTION]))
        assert (told.run["status"], told.run["last_error"]["message"]) == ("failed", "It is too large.")
        assert told.steps == {}  # they were refused with the calls

    @pytest.mark.parametrize("where", ["go", "__init__"])
    async def test_a_defect_ends_the_run_and_who_listens_is_told(
        self, talk: Talk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
    ) -> None:
        def defect(*arguments: Any) -> Any:
            raise RuntimeError("a defect")

        async with talk:
            monkeypatch.setattr(carrying.Carrying, where, defect)
            await talk.say("one two")
            found = await talk.events()
            assert names(found)[-1] == "thread.run.failed"
            assert f"its log says why, under {found[0].data.id}" in found[-1].data.last_error.message
            assert "a defect" in caplog.text
            assert await talk.stored._store.left() == []

    async def test_a_defect_of_the_store_leaves_the_run_to_the_next_turn(
        self, talk: Talk, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with talk:
            store = talk.stored._store
            assert isinstance(store, InMemory)
            failing = True

            async def fail(kept: KeptRun) -> None:
                if failing and kept.run.status != "queued":
                    raise RuntimeError("a defect")

            store.before_write = fail
            await talk.say("one two")
            run = await talk.run()
            await talk.stored._loop.settled()
            with pytest.raises(RuntimeError):
                await heard(talk.stored._loop.start(talk.thread, run.id))
            assert caplog.text.count("cannot be carried on") == 1
            assert (await talk.jan.runs.retrieve(talk.thread, run.id)).status == "queued"
            failing = False
            assert names(await heard(talk.stored._loop.start(talk.thread, run.id)))[-1] == "thread.run.completed"

    async def test_who_ends_it_by_hand_is_right(self, talk: Talk) -> None:
        """A person writes into the file of a run that goes on."""
        async with talk:
            await talk.say({"say": ["a "] * 5, "rate": 30})
            told = []
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                told.append(event)
                if event.event == "thread.message.created":
                    async with talk.stored._store.changing(talk.thread, told[0].data.id) as kept:
                        kept.run = states.gone(kept.run, "completed")
            run = await talk.end(told[0].data)
        assert (names(told)[-1], run.status) == ("thread.run.completed", "completed")

    @pytest.mark.parametrize("status", ["queued", "requires_action"])
    async def test_who_sets_it_back_by_hand_leaves_no_run_without_an_end(self, talk: Talk, status: str) -> None:
        async with talk:
            await talk.say({"say": ["a "] * 5, "rate": 30})
            told = []
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                told.append(event)
                if event.event == "thread.message.created":
                    async with talk.stored._store.changing(talk.thread, told[0].data.id) as kept:
                        kept.run = kept.run.model_copy(update={"status": status})
            assert (await talk.end(told[0].data)).status == "completed"
            assert await talk.answers() == [("completed", "a " * 5)]
