"""What is told of a run a second time, against what was told the first time, and against the grammar."""

from __future__ import annotations

from typing import Any

import pytest
from jan_runs import repeated

from jan_core.schemas.runs import KeptRun, ToolOutput, ToolOutputsRequest
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, Talk, scripted

pytestmark = pytest.mark.anyio


def outputs(*given: tuple[str, str]) -> ToolOutputsRequest:
    return ToolOutputsRequest(tool_outputs=[ToolOutput(tool_call_id=id, output=text) for id, text in given])


async def kept_of(talk: Talk, run: Any) -> KeptRun:
    kept: KeptRun = await talk.jan.runs.kept(talk.thread, run.id)
    return kept


async def again(talk: Talk, run: Any, *, since: str | None = None) -> Any:
    kept = await kept_of(talk, run)
    messages = {id: await talk.jan.messages.retrieve(talk.thread, id) for id in repeated.said_in(kept)}
    told = list(repeated.story(kept, messages, expires_at=run.expires_at or 5, since=since))
    return story(told, resumed=since is not None)


@pytest.mark.parametrize(
    ("script", "fields", "status"),
    [
        ({"say": ["one ", "two"]}, {}, "completed"),
        ({"say": [""]}, {}, "completed"),
        ({"say": ["one ", "two"], "finish": "length"}, {}, "incomplete"),
        ({"fail": "engine_error"}, {}, "failed"),
        ({"say": ["one "], "fail": "engine_error"}, {}, "failed"),
        ({"call": [{"name": "add"}, {"name": "add", "arguments": {"a": 1}}]}, {"tools": [FUNCTION]}, "requires_action"),
    ],
)
async def test_the_same_as_the_first_time(talk: Talk, script: Any, fields: Any, status: str) -> None:
    async with talk:
        await talk.say(scripted(**script))
        first = story(await talk.events(**fields))
        (run,) = (await talk.jan.runs.kept(talk.thread, first.run["id"]),)
        told = await again(talk, run.run)
        assert told.run == first.run
        assert told.run["status"] == status
        assert (told.steps, told.messages, told.statuses) == (first.steps, first.messages, first.statuses)


async def test_a_run_that_was_cancelled_at_once(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(say=["a"], hang=True))
        run = await talk.run()
        await talk.jan.runs.cancel(talk.thread, run.id)
        ended = await talk.end(run)
        assert (await again(talk, ended)).statuses[-2:] == ["cancelling", "cancelled"]


async def test_of_outputs_what_came_after_them(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(call=[{"name": "add"}, {"name": "add"}]))
        run = await talk.end(await talk.run(tools=[FUNCTION]))
        assert run.required_action is not None
        one, two = (call.id for call in run.required_action.submit_tool_outputs.tool_calls)
        kept = await kept_of(talk, run)
        assert repeated.step_given(kept, outputs((one, "1"), (two, ""))) is None
        await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, outputs((one, "1"), (two, "")))
        run = await talk.end(run)
        kept = await kept_of(talk, run)
        for given in (outputs((one, "1"), (two, "")), outputs((two, ""), (one, "1"))):
            step = repeated.step_given(kept, given)
            assert step is not None
            assert step.id == kept.steps[0].id
        for given in (outputs(), outputs((one, "2"), (two, "")), outputs((one, "1"), (one, "1")), outputs(("c", "1"))):
            assert repeated.step_given(kept, given) is None
        told = await again(talk, run, since=kept.steps[0].id)
        assert told.names[:3] == ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]
        assert told.run["status"] == "completed"
        whole = await again(talk, run)
        assert [one["type"] for one in whole.steps.values()] == ["tool_calls", "message_creation"]


async def test_a_message_that_was_deleted_since_is_not_told(talk: Talk) -> None:
    async with talk:
        await talk.say("hello")
        run = await talk.end(await talk.run())
        told = list(repeated.story(await kept_of(talk, run), {}, expires_at=5))
        assert [one.event for one in told if "message" in one.event] == []
        assert told[-1].data == run
