"""Runs through HTTP: the official client's own helpers, and every reply and event held against the API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import openai
import pytest
from openai import AsyncAssistantEventHandler, AsyncOpenAI
from typing_extensions import override

from jan_core.inprocess import client
from jan_core.testing.wired import EVERYTHING, wired
from tests.conversations import FOLDER
from tests.pinned import spec

pytestmark = [
    pytest.mark.anyio,
    # The client says that OpenAI's own servers stopped answering these routes.
    pytest.mark.filterwarnings("ignore:(The Assistants API is )?deprecated:DeprecationWarning"),
]
KINDS = {
    "memory": EVERYTHING,
    "folder": {
        **{name: value for name, value in EVERYTHING.items() if name.split("-")[0] in ("chat", "models")},
        **FOLDER,
        "runs-json": "jan_runs_json",
    },
}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}},
}


class Asked(NamedTuple):
    """The official client of an app, and the names of the events that were held against the API."""

    openai: AsyncOpenAI
    events: list[str]

    @property
    def runs(self) -> Any:
        return self.openai.beta.threads.runs

    async def thread(self, *said: dict[str, Any] | str) -> str:
        """A thread in which scripts were said, or texts that are said back."""
        texts = [one if isinstance(one, str) else json.dumps(one) for one in said]
        made = await self.openai.beta.threads.create(messages=[{"role": "user", "content": one} for one in texts])
        return made.id

    async def texts(self, thread: str) -> list[str]:
        """What the assistant said, oldest first."""
        found = self.openai.beta.threads.messages.list(thread, order="asc")
        return ["".join(p.text.value for p in one.content) async for one in found if one.role == "assistant"]  # type: ignore[union-attr]


@pytest.fixture(params=KINDS)
async def asked(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    names: list[str] = []

    async def check(reply: httpx2.Response) -> None:
        body = (await reply.aread()).decode()
        if not reply.headers["content-type"].startswith("text/event-stream"):
            told = json.loads(body)
            spec().validate(reply.request.method, reply.request.url.path, reply.status_code, told)
            return
        blocks = body.split("\n\n")
        assert blocks.pop() == ""
        for block in blocks:
            (event, data) = block.split("\n")
            name, text = event.removeprefix("event: "), data.removeprefix("data: ")
            spec().validate_event(name, text if name == "done" else json.loads(text))
            names.append(name)
        assert names[-1] == "done"

    tables = {"server": {"log_requests": False}}
    async with (
        wired(tmp_path, tables, modules=KINDS[request.param]) as jan,
        client(jan, event_hooks={"response": [check]}) as http,
    ):
        made = AsyncOpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)
        yield Asked(made, names)


class Heard(AsyncAssistantEventHandler):
    """What the client's own handler makes of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.calls: list[Any] = []
        self.steps: list[Any] = []

    @override
    async def on_event(self, event: Any) -> None:
        self.names.append(event.event)

    @override
    async def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value or ""
        assert snapshot.value == self.text

    @override
    async def on_run_step_done(self, run_step: Any) -> None:
        self.steps.append(run_step)

    @override
    async def on_tool_call_done(self, tool_call: Any) -> None:
        self.calls.append(tool_call)


async def test_create_and_poll(asked: Asked) -> None:
    thread = await asked.thread("one two three")
    run = await asked.runs.create_and_poll(
        thread_id=thread, assistant_id="jan", model="scripted", metadata={"a": "b"}, poll_interval_ms=10
    )
    assert (run.status, run.model, run.metadata, run.usage.completion_tokens) == (
        "completed",
        "scripted",
        {"a": "b"},
        3,
    )
    assert await asked.texts(thread) == ["one two three "]
    (step,) = [one async for one in asked.runs.steps.list(run.id, thread_id=thread)]
    assert (step.status, step.type) == ("completed", "message_creation")
    assert await asked.runs.steps.retrieve(step.id, thread_id=thread, run_id=run.id) == step
    message = await asked.openai.beta.threads.messages.retrieve(
        step.step_details.message_creation.message_id, thread_id=thread
    )
    assert (message.run_id, message.assistant_id, message.status) == (run.id, "jan", "completed")
    changed = await asked.runs.update(run.id, thread_id=thread, metadata={"c": "d"})
    assert changed == run.model_copy(update={"metadata": {"c": "d"}})
    assert [one.id async for one in asked.runs.list(thread)] == [run.id]


async def test_stream_with_the_event_handler(asked: Asked) -> None:
    thread = await asked.thread({"say": ["Hel", "lo", " wor", "ld"]})
    handler = Heard()
    async with asked.runs.stream(
        thread_id=thread, assistant_id="jan", model="scripted", event_handler=handler
    ) as stream:
        await stream.until_done()
    assert handler.text == "Hello world"
    assert await asked.texts(thread) == ["Hello world"]
    (message,) = await handler.get_final_messages()
    assert message.content[0].text.value == "Hello world"
    (step,) = handler.steps  # its final steps are as they began: it takes in deltas alone
    assert (step.status, step.id) == ("completed", (await handler.get_final_run_steps())[0].id)
    assert (await handler.get_final_run()).status == "completed"
    assert handler.names[:3] == ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
    assert handler.names[-3:] == ["thread.message.completed", "thread.run.step.completed", "thread.run.completed"]
    assert asked.events == [*handler.names, "done"]


async def test_create_and_run_stream(asked: Asked) -> None:
    handler = Heard()
    async with asked.openai.beta.threads.create_and_run_stream(
        assistant_id="jan",
        model="scripted",
        thread={"messages": [{"role": "user", "content": "hello you"}], "metadata": {"a": "b"}},
        event_handler=handler,
    ) as stream:
        assert [text async for text in stream.text_deltas] == ["hello ", "you "]
    assert asked.events[:2] == ["thread.created", "thread.run.created"]
    run = await handler.get_final_run()
    assert await asked.texts(run.thread_id) == ["hello you "]
    assert (await asked.openai.beta.threads.retrieve(run.thread_id)).metadata == {"a": "b"}


async def test_create_and_run_poll(asked: Asked) -> None:
    run = await asked.openai.beta.threads.create_and_run_poll(
        assistant_id="jan",
        model="scripted",
        thread={"messages": [{"role": "user", "content": "hello"}]},
        poll_interval_ms=10,
    )
    assert run.status == "completed"
    with pytest.raises(openai.NotFoundError):
        await asked.openai.beta.threads.create_and_run(assistant_id="asst_none", model="scripted")


async def test_tools_with_submit_tool_outputs_stream(asked: Asked) -> None:
    thread = await asked.thread({"call": [{"name": "weather", "arguments": {"place": "Ulm"}}]})
    first = Heard()
    async with asked.runs.stream(
        thread_id=thread, assistant_id="jan", model="scripted", tools=[WEATHER], event_handler=first
    ) as stream:
        await stream.until_done()
    run = await first.get_final_run()
    assert (run.status, first.names[-1]) == ("requires_action", "thread.run.requires_action")
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    assert json.loads(call.function.arguments) == {"place": "Ulm"}
    assert "thread.run.step.delta" in first.names
    assert [one.function.name for one in first.calls] == ["weather"]
    with pytest.raises(openai.BadRequestError):
        await asked.runs.submit_tool_outputs(
            run.id, thread_id=thread, tool_outputs=[{"tool_call_id": "call_none", "output": ""}]
        )
    second = Heard()
    async with asked.runs.submit_tool_outputs_stream(
        thread_id=thread,
        run_id=run.id,
        tool_outputs=[{"tool_call_id": call.id, "output": "sunny, 21 degrees"}],
        event_handler=second,
    ) as stream:
        await stream.until_done()
    assert second.text == "sunny, 21 degrees "
    assert (await second.get_final_run()).status == "completed"
    (done, said) = [one async for one in asked.runs.steps.list(run.id, thread_id=thread, order="asc")]
    assert done.step_details.tool_calls[0].function.output == "sunny, 21 degrees"
    assert (done.type, said.type) == ("tool_calls", "message_creation")
    assert await asked.texts(thread) == ["sunny, 21 degrees "]


async def test_tools_with_submit_tool_outputs_and_poll(asked: Asked) -> None:
    thread = await asked.thread({"call": [{"name": "weather"}, {"name": "weather"}]})
    run = await asked.runs.create_and_poll(
        thread_id=thread, assistant_id="jan", model="scripted", tools=[WEATHER], poll_interval_ms=10
    )
    outputs = [
        {"tool_call_id": one.id, "output": f"{index}"}
        for index, one in enumerate(run.required_action.submit_tool_outputs.tool_calls)
    ]
    assert len(outputs) == 2
    run = await asked.runs.submit_tool_outputs_and_poll(
        thread_id=thread, run_id=run.id, tool_outputs=outputs, poll_interval_ms=10
    )
    assert run.status == "completed"
    assert await asked.texts(thread) == ["1 "]


async def test_cancel_keeps_what_was_said(asked: Asked) -> None:
    thread = await asked.thread({"say": ["a ", "b "], "hang": True})
    run = await asked.runs.create(thread, assistant_id="jan", model="scripted")
    with pytest.raises(openai.BadRequestError) as refused:
        await asked.openai.beta.threads.messages.create(thread, role="user", content="no")
    assert refused.value.code == "run_active"
    with pytest.raises(openai.BadRequestError) as refused:
        await asked.runs.create(thread, assistant_id="jan", model="scripted")
    assert refused.value.code == "run_active"
    while await asked.texts(thread) != ["a b "]:
        pass
    assert (await asked.runs.cancel(run.id, thread_id=thread)).status == "cancelling"
    run = await asked.runs.poll(run.id, thread_id=thread, poll_interval_ms=10)
    assert run.status == "cancelled"
    (message,) = [one async for one in asked.openai.beta.threads.messages.list(thread, limit=1) if one.run_id]
    assert (message.status, message.incomplete_details.reason) == ("incomplete", "run_cancelled")  # type: ignore[union-attr]
    assert (await asked.openai.beta.threads.messages.create(thread, role="user", content="yes")).role == "user"
