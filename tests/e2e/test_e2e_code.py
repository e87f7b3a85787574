"""An assistant with functions of its own, through HTTP: what the official client makes of its runs."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
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
    pytest.mark.skipif(sys.platform == "win32", reason="the limits of code are those of POSIX"),
]
CODE = '''
import json

def double(n: int) -> str:
    """Doubles a number; what it gives tells the engine what to say next."""
    return json.dumps({"say": ["it ", "is ", str(2 * n)]})
'''


class Heard(AsyncAssistantEventHandler):
    """What the client's own handler makes of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.outputs: list[str] = []

    @override
    async def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        if delta.function.output:
            self.outputs.append(delta.function.output)

    @override
    async def on_tool_call_done(self, tool_call: Any) -> None:
        self.calls.append(tool_call)


@pytest.fixture
async def openai(tmp_path: Path) -> AsyncIterator[AsyncOpenAI]:
    async def check(reply: httpx2.Response) -> None:
        body = (await reply.aread()).decode()
        if not reply.headers["content-type"].startswith("text/event-stream"):
            spec().validate(reply.request.method, reply.request.url.path, reply.status_code, json.loads(body))
            return
        for block in body.split("\n\n")[:-1]:
            event, data = block.split("\n")
            name, text = event.removeprefix("event: "), data.removeprefix("data: ")
            spec().validate_event(name, text if name == "done" else json.loads(text))

    index = tmp_path / "assistants" / "jan" / "src" / "index.py"
    index.parent.mkdir(parents=True)
    index.write_text(CODE)
    parts = {name: value for name, value in EVERYTHING.items() if name.split("-")[0] in ("chat", "models")}
    modules = {**parts, **FOLDER, "runs-json": "jan_runs_json"}
    async with (
        wired(tmp_path, {"server": {"log_requests": False}}, modules=modules) as jan,
        client(jan, event_hooks={"response": [check]}) as http,
    ):
        yield AsyncOpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)


async def test_a_stream_goes_on_by_itself(openai: AsyncOpenAI) -> None:
    script = {"call": [{"name": "double", "arguments": {"n": 21}}]}
    thread = await openai.beta.threads.create(messages=[{"role": "user", "content": json.dumps(script)}])
    handler = Heard()
    async with openai.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id="jan", model="scripted", event_handler=handler
    ) as stream:
        await stream.until_done()
    output = '{"say": ["it ", "is ", "42"]}'
    assert handler.outputs == [output]
    call = handler.calls[0]  # the client tells of it again at the end of each further step
    assert (call.function.name, call.function.arguments, call.function.output) == ("double", '{"n": 21}', output)
    run = await handler.get_final_run()
    assert (run.status, run.tools) == ("completed", [])
    steps = [one async for one in openai.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")]
    assert [one.type for one in steps] == ["tool_calls", "message_creation"]
    assert steps[0].step_details.tool_calls[0].function.output == output  # type: ignore[union-attr]
    (message,) = await handler.get_final_messages()
    assert message.content[0].text.value == "it is 42"  # type: ignore[union-attr]


async def test_create_and_poll_needs_no_outputs(openai: AsyncOpenAI) -> None:
    thread = await openai.beta.threads.create(messages=[{"role": "user", "content": "hello"}])
    run = await openai.beta.threads.runs.create_and_poll(
        thread_id=thread.id,
        assistant_id="jan",
        model="scripted",
        tool_choice={"type": "function", "function": {"name": "double"}},
        poll_interval_ms=10,
    )
    assert run.status == "completed"
    (_, step) = [one async for one in openai.beta.threads.runs.steps.list(run.id, thread_id=thread.id, order="asc")][:2]
    assert step.step_details.tool_calls[0].function.output == "error: the arguments must have n"  # type: ignore[union-attr]
