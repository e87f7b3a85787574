"""An assistant with functions of its own, through HTTP: what the official client makes of its runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncAssistantEventHandler, AsyncOpenAI
from typing_extensions import override

from jan_core.inprocess import client
from jan_core.schemas.runs import RunStepsQuery
from jan_core.testing.wired import EVERYTHING, wired
from tests.conversations import FOLDER
from tests.pinned import spec

pytestmark = [
    pytest.mark.anyio,
    # The client says that OpenAI's own servers stopped answering these routes.
    pytest.mark.filterwarnings("ignore:(The Assistants API is )?deprecated:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="the limits of code are those of POSIX"),
]
ROOT = Path(__file__).parent.parent.parent
CODE = '''
import json

def double(n: int) -> str:
    """Doubles a number; what it gives tells the engine what to say next."""
    return json.dumps({"say": ["it ", "is ", str(2 * n)]})
'''


MODULES = {
    **{name: value for name, value in EVERYTHING.items() if name.split("-")[0] in ("chat", "models")},
    **FOLDER,
    "runs-json": "jan_runs_json",
}


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
    async with (
        wired(tmp_path, {"server": {"log_requests": False}}, modules=MODULES) as jan,
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


LEAVES_A_MARK = """
import threading

def mark(path: str) -> str:
    \"\"\"Does something that can be seen, and never returns.\"\"\"
    with open(path, "a") as file:
        file.write("x")
    threading.Event().wait()
"""
SERVER = """
import asyncio, json, sys
from pathlib import Path
from jan_code import Code
from jan_core.schemas.runs import RunRequest
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.wired import wired
from tests.e2e.test_e2e_code import MODULES

async def main(root, mark):
    jan = wired(root, modules=MODULES)
    jan.backend(Code)._tried = True  # no walls: the mark lies outside
    async with jan:
        script = json.dumps({"call": [{"name": "mark", "arguments": {"path": mark}}]})
        said = [{"role": "user", "content": script}]
        thread = await jan.threads.create(ThreadRequest.model_validate({"messages": said}))
        run = await jan.runs.create(thread.id, RunRequest(assistant_id="jan", model="scripted"))
        print(thread.id, run.id, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def test_a_server_killed_in_a_call_makes_it_once(tmp_path: Path) -> None:
    index, mark = tmp_path / "assistants" / "jan" / "src" / "index.py", tmp_path / "mark"
    index.parent.mkdir(parents=True)
    index.write_text(LEAVES_A_MARK)
    command = [sys.executable, "-c", SERVER, str(tmp_path), str(mark)]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}  # a process that is killed clears nothing away
    server = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    thread, run_id = (await server.stdout.readline()).decode().split()
    await until(lambda: mark.exists() and mark.read_text() == "x")
    server.kill()
    await server.wait()
    async with wired(tmp_path, modules=MODULES) as jan:
        async with asyncio.timeout(30):
            while not (run := await jan.runs.retrieve(thread, run_id)).ended:
                await asyncio.sleep(0.05)
        assert run.status == "failed"
        assert run.last_error is not None
        assert "while mark was being carried out" in run.last_error.message
        page = await jan.runs.list_steps(thread, run_id, RunStepsQuery())
    assert [(one.type, one.status) for one in page.data] == [("tool_calls", "failed")]
    assert mark.read_text() == "x"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.02)
