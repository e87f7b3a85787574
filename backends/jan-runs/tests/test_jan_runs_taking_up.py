from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from jan_runs import taking_up
from jan_runs.notes import Notes

from jan_core.errors import InvalidRequest
from jan_core.ids import now
from jan_core.schemas.messages import Message, MessageRequest
from jan_core.schemas.runs import KeptRun
from tests.parts import until

from .conftest import FUNCTION, Place, Talk, scripted, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PATIENCE", 0.02), ("PAUSE", 0.05), ("UNASKED", 0.05)):
        monkeypatch.setattr(taking_up, name, seconds)


async def left_behind(talk: Talk, **more: object) -> str:
    """A run that was in the middle of an answer when its process ended; its next answer is `hello`."""
    async with talk:
        await talk.say(scripted(say=["a"], hang=True))
        run = await talk.run(**more)
        await until(lambda: talk.stored._loop.saying(run.id) is not None)
    return run.id


async def test_a_run_that_was_left_is_taken_up(tmp_path: Path, place: Place) -> None:
    first = Talk(tmp_path, place)
    run = await left_behind(first)
    async with Talk(tmp_path, place) as second:
        second.thread = first.thread
        await until(lambda: second.stored._loop.carries(run))
        assert (await second.jan.runs.retrieve(first.thread, run)).status == "in_progress"


async def test_a_server_takes_it_up_sooner(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Talk(tmp_path, place)
    run = await left_behind(first)
    monkeypatch.setattr(taking_up, "UNASKED", 600.0)
    async with Talk(tmp_path, place) as second:
        await asyncio.sleep(0.1)
        assert not second.stored._loop.carries(run)
        await second.jan.runs.serving()
        await until(lambda: second.stored._loop.carries(run))


async def test_what_somebody_carries_on_is_left_alone(tmp_path: Path, place: Place) -> None:
    async with Talk(tmp_path, place) as first, Talk(tmp_path, place) as second:
        await first.say(scripted(say=["a"], hang=True))
        run = await first.run()
        await asyncio.sleep(0.3)
        assert first.stored._loop.carries(run.id)
        assert not second.stored._loop.carries(run.id)
        assert not second.stored._taking_up._taken
        # Its process dies while the other one goes on.
        await first.stored._loop.__aexit__(None, None, None)
        await until(lambda: second.stored._loop.carries(run.id))


async def test_those_that_take_long_hold_up_no_other(tmp_path: Path, place: Place) -> None:
    left = []
    async with Talk(tmp_path, place) as first:
        for _ in range(10):
            left.append((await first.say(scripted(say=["a"], hang=True)), (await first.run()).id))
            await until(lambda: first.stored._loop.saying(left[-1][1]) is not None)
    for thread, run in left[:5]:
        kept = KeptRun.model_validate_json(place.runs[thread][run])
        kept.run.status = "cancelling"
        place.runs[thread][run] = kept.model_dump_json()
    async with Talk(tmp_path, place) as second:
        async with asyncio.timeout(20):
            for second.thread, run in left[:5]:
                while (await second.jan.runs.retrieve(second.thread, run)).status != "cancelled":
                    await asyncio.sleep(0.01)
        await until(lambda: len(second.stored._loop._going) == 5)


async def test_one_that_waits_for_the_client_goes_on_waiting_until_it_expires(tmp_path: Path, place: Place) -> None:
    async with Talk(tmp_path, place) as first:
        await first.say(scripted(call=[{"name": "add"}]))
        run = await first.end(await first.run(tools=[FUNCTION]))
    async with Talk(tmp_path, place) as second:
        second.thread = first.thread
        await asyncio.sleep(0.2)
        assert (await second.jan.runs.retrieve(first.thread, run.id)).status == "requires_action"
        async with second.stored._store.changing(first.thread, run.id) as kept:
            kept.run.expires_at = now() - 1
        async with asyncio.timeout(20):
            while (await second.jan.runs.retrieve(first.thread, run.id)).status != "expired":
                await asyncio.sleep(0.01)


async def test_messages_that_were_not_added_yet_are_added_first(tmp_path: Path, place: Place) -> None:
    async with Talk(tmp_path, place) as first:
        await first.say("hello")
        run = await first.end(await first.run())
    body = MessageRequest(role="user", content="more of it")
    message = Message.of(body, id="msg_more", thread_id=first.thread, created_at=1)
    async with Talk(tmp_path, place) as second:
        second.thread = first.thread
        # As a process leaves it that dies right after it began the run.
        kept = await second.jan.runs.kept(first.thread, run.id)
        kept.run.status, kept.run.id, kept.steps = "queued", "run_2", []
        Notes(additional=[message]).to(kept)
        await second.stored._store.put(kept)
        await second.jan.messages.put(message)
        assert (await second.end("run_2")).status == "completed"
        said = [text_of(one) for one in await second.messages()]
        assert said == ["hello", "hello ", "more of it", "more of it "]


async def test_what_cannot_be_read_is_told_and_passed_over(
    tmp_path: Path, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first = Talk(tmp_path, place)
    run = await left_behind(first)
    caplog.set_level(logging.WARNING)
    async with Talk(tmp_path, place) as second:
        store = second.stored._store
        really = store.read

        async def read(thread_id: str, run_id: str) -> object:
            if not caplog.records:
                raise OSError(5, "the disk fails")
            return await really(thread_id, run_id)

        store.read = read  # type: ignore[method-assign, assignment]
        await until(lambda: second.stored._loop.carries(run))
    assert f"looking at the run {run} failed: OSError" in caplog.text


async def test_what_can_never_be_read_is_told_once(
    tmp_path: Path, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    first = Talk(tmp_path, place)
    run = await left_behind(first)
    caplog.set_level(logging.WARNING)
    looks: list[str] = []
    async with Talk(tmp_path, place) as second:

        async def read(thread_id: str, run_id: str) -> object:
            looks.append(run_id)
            raise InvalidRequest("line 3 is no JSON")

        second.stored._store.read = read  # type: ignore[method-assign, assignment]
        await until(lambda: len(looks) > 5)
    assert caplog.text.count(f"looking at the run {run} failed: line 3 is no JSON") == 1


async def test_a_run_that_is_given_its_messages_is_left_to_who_does_so(tmp_path: Path, place: Place) -> None:
    async with Talk(tmp_path, place) as first, Talk(tmp_path, place) as second:
        await first.say("hello")
        stored: list[str] = []
        really = first.jan.messages.put

        async def slow(message: Message) -> None:
            stored.append(text_of(message))
            await asyncio.sleep(0.1)
            await really(message)

        first.jan.messages.put = slow
        second.jan.messages.put = slow
        more = [{"role": "user", "content": f"m{number}"} for number in range(5)]
        run = await first.run(additional_messages=more)
        assert stored == ["m0", "m1", "m2", "m3", "m4"]
        await first.end(run)
        assert [text_of(one) for one in await first.messages()] == ["hello", *stored[:5], "m4 "]


async def test_many_that_wait_hold_up_nobody(tmp_path: Path, place: Place) -> None:
    async with Talk(tmp_path, place) as first:
        await first.say(scripted(call=[{"name": "add"}]))
        run = await first.end(await first.run(tools=[FUNCTION]))
        kept = await first.jan.runs.kept(first.thread, run.id)
        store, turns = first.stored._store, 0

        async def left() -> list[tuple[str, str]]:
            return [(first.thread, f"run_{number}") for number in range(50)]

        async def read(thread_id: str, run_id: str) -> KeptRun:
            return kept

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        store.left, store.read = left, read  # type: ignore[method-assign, assignment]
        turning = asyncio.create_task(turn())
        assert await first.stored._taking_up._alone() == set()
        turning.cancel()
    assert turns >= 49
