"""A process that ends while it carries a run on, and the next one, which finds the run."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from jan_runs import answering, recovery
from jan_runs.notes import Notes

from jan_core.schemas.messages import Message
from jan_core.schemas.runs import KeptRun, Run, ToolOutputsRequest

from .conftest import FUNCTION, InMemory, Place, Talk, around, scripted, slow_calls

pytestmark = pytest.mark.anyio


async def stopped(tmp_path: Path, place: Place, script: Any, *, heard: bool, after: str, **more: Any) -> Talk:
    """A talk whose process ended after an event of this name, or after so many writes."""
    talk = Talk(tmp_path, place, **more)
    await talk.__aenter__()
    await talk.say(script)
    before = dict(place.runs)
    events = talk.jan.runs.create_stream(talk.thread, talk.request(tools=[FUNCTION]))
    # Calls that are whole at once are told with what follows; these never are.
    broken = around(talk, "chat.create_stream", slow_calls(asyncio.Event()))
    with broken if after == "thread.run.step.created" else nullcontext():
        async for event in events:
            if event.event == after:
                break
    if not heard:
        for kept in place.runs[talk.thread].values():
            changed = KeptRun.model_validate_json(kept)
            notes = Notes.of(changed)
            notes.heard = False
            notes.to(changed)
            place.runs[talk.thread][changed.run.id] = changed.model_dump_json()
    frozen = {name: dict(runs) for name, runs in place.runs.items()}
    assert frozen != before
    await events.aclose()
    await talk.__aexit__()
    place.runs, place.held = frozen, set()
    return talk


async def again(talk: Talk, place: Place) -> tuple[Run, list[tuple[str, str]], list[Any]]:
    """What became of the run, the answers and the steps once another process had taken it up."""
    other = Talk(talk.root, place)
    other.thread = talk.thread
    async with other:
        (run_id,) = place.runs[talk.thread]
        other.stored._loop.start(talk.thread, run_id)
        run = await other.end(run_id)
        return run, await other.answers(), await other.steps(run)


class TestTakingUp:
    async def test_a_run_that_had_said_nothing_goes_on(self, tmp_path: Path, place: Place) -> None:
        talk = await stopped(tmp_path, place, {"say": ["a ", "b"], "rate": 5}, heard=True, after="thread.run.created")
        run, answers, steps = await again(talk, place)
        assert (run.status, answers) == ("completed", [("completed", "a b")])
        assert len(steps) == 1

    async def test_one_that_was_heard_fails_and_what_it_said_is_kept(
        self, tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answering, "FIRST_SECONDS", 0)
        script = {"say": ["a ", "b"], "hang": True, "rate": 5}
        talk = await stopped(tmp_path, place, script, heard=True, after="thread.message.delta")
        run, answers, steps = await again(talk, place)
        assert (run.status, run.last_error and run.last_error.message) == ("failed", recovery.BROKEN)
        assert [status for status, _ in answers] == ["incomplete"]
        assert [one.status for one in steps] == ["failed"]

    async def test_one_that_nobody_heard_is_said_anew_under_its_ids(self, tmp_path: Path, place: Place) -> None:
        talk = await stopped(
            tmp_path, place, {"say": ["a ", "b"], "rate": 20}, heard=False, after="thread.message.created"
        )
        (kept,) = (KeptRun.model_validate_json(text) for text in place.runs[talk.thread].values())
        saying = Notes.of(kept).saying
        assert saying is not None
        run, answers, steps = await again(talk, place)
        assert (run.status, answers) == ("completed", [("completed", "a b")])
        assert [one.id for one in steps] == [one.id for one in kept.steps]
        assert steps[0].step_details.message_creation.message_id == saying.id

    async def test_a_message_that_the_thread_has_is_not_said_again(self, tmp_path: Path, place: Place) -> None:
        talk = Talk(tmp_path, place)
        async with talk:
            store = talk.stored._store
            assert isinstance(store, InMemory)

            async def die(kept: KeptRun) -> None:
                if kept.run.ended:
                    raise OSError("the process ends here")

            store.before_write = die
            await talk.say({"say": ["a"]})
            run = await talk.run()
            await talk.stored._loop.settled()
            assert await talk.answers() == [("completed", "a")]
        run, answers, steps = await again(talk, place)
        assert (run.status, answers) == ("completed", [("completed", "a")])
        assert [one.status for one in steps] == ["completed"]

    async def test_a_cancelled_one_is_ended(self, tmp_path: Path, place: Place) -> None:
        script = {"say": ["a ", "b"], "hang": True}
        talk = await stopped(tmp_path, place, script, heard=True, after="thread.message.delta")
        for run_id, text in place.runs[talk.thread].items():
            kept = KeptRun.model_validate_json(text)
            kept.run = kept.run.model_copy(update={"status": "cancelling"})
            place.runs[talk.thread][run_id] = kept.model_dump_json()
        run, answers, steps = await again(talk, place)
        assert run.status == "cancelled"
        assert [status for status, _ in answers] == ["incomplete"]
        assert [one.status for one in steps] == ["cancelled"]

    @pytest.mark.parametrize("heard", [True, False])
    async def test_calls_that_broke_off(self, tmp_path: Path, place: Place, heard: bool) -> None:
        script = {"call": [{"name": "add"}]}
        talk = await stopped(tmp_path, place, script, heard=heard, after="thread.run.step.created")
        run, answers, steps = await again(talk, place)
        assert answers == []
        assert run.status == ("failed" if heard else "requires_action")
        assert [one.status for one in steps] == (["failed"] if heard else ["in_progress"])

    async def test_waiting_for_outputs_survives(self, tmp_path: Path, place: Place) -> None:
        script = {"call": [{"name": "add"}]}
        talk = await stopped(tmp_path, place, script, heard=True, after="thread.run.requires_action")
        other = Talk(talk.root, place)
        other.thread = talk.thread
        async with other:
            (run_id,) = place.runs[talk.thread]
            other.stored._loop.start(talk.thread, run_id)
            run = await other.end(run_id)
            assert run.status == "requires_action"
            assert run.required_action is not None
            call = run.required_action.submit_tool_outputs.tool_calls[0].id
            told = {"tool_outputs": [{"tool_call_id": call, "output": scripted(say=["done"])}]}
            await other.jan.runs.submit_tool_outputs(talk.thread, run_id, ToolOutputsRequest.model_validate(told))
            assert (await other.end(run_id)).status == "completed"
            assert await other.answers() == [("completed", "done")]


class TestLook:
    async def test_a_message_that_was_stored_before_calls_came_broke_off_with_them(self, talk: Talk) -> None:
        async with talk:
            await talk.say("hello")
            saying = Message(
                id="msg_1", created_at=1, thread_id=talk.thread, role="assistant", content=[], completed_at=1
            )
            await talk.jan.messages.put(saying)
            run = Run(id="run_1", created_at=1, thread_id=talk.thread, assistant_id="jan", model="m")
            kept = KeptRun(run=run)
            found = await recovery.look(talk.jan, kept, Notes(saying=saying, going_on=True))
            assert (found.broken, found.said, found.message) == (True, False, None)
            found = await recovery.look(talk.jan, kept, Notes(saying=saying))
            assert (found.broken, found.said) == (False, True)
