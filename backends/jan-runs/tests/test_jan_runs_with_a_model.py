"""The loop on a real, small model, which calls tools only where it is forced to."""

from __future__ import annotations

import asyncio
import json
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from jan_core.schemas.runs import ToolOutputsRequest
from jan_core.testing.contract.run_grammar import story
from jan_core.testing.wired import EVERYTHING, wired

from .conftest import EXPIRES, HERE, PLACES, Place, Talk

pytestmark = pytest.mark.anyio

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather of a town.",
        "parameters": {
            "type": "object",
            "properties": {"town": {"type": "string", "enum": ["Rome", "Oslo"]}},
            "required": ["town"],
        },
    },
}

ENDLESS = {
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "numbers",
            "schema": {
                "type": "object",
                "properties": {"numbers": {"type": "array", "items": {"type": "integer"}, "minItems": 400}},
                "required": ["numbers"],
            },
        },
    }
}
"""An answer that the model does not end by itself before the context is full."""


class Real(Talk):
    """A talk with the model of the root."""

    def __init__(self, root: Path, context: int = 512) -> None:
        self.root, self.place, self.thread = root, Place(), ""
        PLACES[root], EXPIRES[root] = self.place, 600
        (folder,) = (root / "models").iterdir()
        settings = {"settings": {"ctx_len": context, "n_parallel": 1}, "parameters": {"temperature": 0}}
        (folder / "model.json").write_text(json.dumps(settings))
        installed = {one.name: one for one in entry_points(group="jan.modules")}
        memory = ("assistants-memory", "threads-memory", "messages-memory")
        modules: dict[str, Any] = {name: EVERYTHING[name] for name in memory}
        modules |= {name: installed[name] for name in ("models-json", "chat-llamacpp")} | {"runs-kept": HERE}
        backends = {one.name: one for one in entry_points(group="jan.backends")}
        self.jan = wired(root, modules=modules, backends=backends)


async def test_a_forced_call_its_output_and_an_answer(root: Path) -> None:
    async with Real(root) as talk:
        await talk.say("What is the weather in Rome?")
        forced = {"type": "function", "function": {"name": "weather"}}
        told = story(await talk.events(tools=[WEATHER], tool_choice=forced, max_completion_tokens=256))
        run = await talk.end(told.run["id"])
        assert run.status == "requires_action"
        assert run.required_action is not None
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        assert json.loads(call.function.arguments)["town"] in ("Rome", "Oslo")
        outputs = {"tool_outputs": [{"tool_call_id": call.id, "output": "Sunny, 21 degrees."}]}
        body = ToolOutputsRequest.model_validate(outputs)
        events = [one async for one in talk.jan.runs.submit_tool_outputs_stream(talk.thread, run.id, body)]
        told = story(events, resumed=True)
        ((status, text),) = await talk.answers()
    assert told.run["status"] in ("completed", "incomplete")
    assert (status, bool(text)) == (told.run["status"], True)
    steps = [one["usage"]["completion_tokens"] for one in told.steps.values()]
    assert told.run["usage"]["completion_tokens"] == sum(steps) > 0


async def test_a_long_thread_is_shortened_until_it_fits(root: Path) -> None:
    async with Real(root) as talk:
        await talk.say(*[f"Sentence {number} of a long, long story about the sea." for number in range(200)], "Say hi.")
        run = await talk.end(await talk.run(max_completion_tokens=256))
        assert run.status in ("completed", "incomplete")
        assert run.usage is not None
        # As much as fits is shown, and a quarter of the context is left for the answer.
        assert 512 / 4 < run.usage.prompt_tokens <= 512 * 3 / 4


@pytest.mark.parametrize("sentences", [20, 25, 27])
async def test_a_growing_thread_leaves_room_for_every_answer(root: Path, sentences: int) -> None:
    async with Real(root) as talk:
        await talk.say(
            *[f"Sentence {number} of a long, long story about the sea." for number in range(sentences)],
            "Tell me a long story.",
        )
        run = await talk.end(await talk.run())
        # All of it would fit, but hardly an answer with it.
        assert run.status in ("completed", "incomplete")
        assert run.usage is not None
        assert 512 / 4 < run.usage.prompt_tokens <= 512 * 3 / 4
        assert run.status == "completed" or run.usage.completion_tokens >= 512 / 4


async def test_while_others_answer_a_run_is_queued(root: Path) -> None:
    async with Real(root, 2048) as talk:
        await talk.say("Count from one to a thousand.")
        first = (talk.thread, (await talk.run(**ENDLESS)).id)
        async with asyncio.timeout(60):
            while not await talk.answers():
                await asyncio.sleep(0.01)
        await talk.say("Hi.")
        run = await talk.run(max_prompt_tokens=1_000)  # so that its tokens are counted, beside the answer
        await asyncio.sleep(0.3)
        assert (await talk.jan.runs.retrieve(talk.thread, run.id)).status == "queued"
        await talk.jan.runs.cancel(*first)
        assert (await talk.end(run)).status in ("completed", "incomplete")


async def test_a_cancelled_answer_frees_the_slot(root: Path) -> None:
    async with Real(root, 2048) as talk:
        await talk.say("Count from one to a thousand.")
        started = await talk.run(**ENDLESS)
        async with asyncio.timeout(60):
            while not await talk.answers():
                await asyncio.sleep(0.01)
        await talk.jan.runs.cancel(talk.thread, started.id)
        run = await talk.end(started)
        began = time.monotonic()
        assert run.status == "cancelled"
        assert [status for status, _ in await talk.answers()] == ["incomplete"]
        # There is one slot only: the next run gets it.
        await talk.say("Hi.")
        told = story(await talk.events(max_completion_tokens=256))
        assert told.run["status"] in ("completed", "incomplete")
        assert time.monotonic() - began < 30
