"""An assistant with a `run` of its own, which uses the official client, asked by the official client."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_auth_keys import changes
from jan_auth_keys.scopes import read_scopes
from openai import AsyncAssistantEventHandler, AsyncOpenAI
from typing_extensions import override

from jan_core.inprocess import client
from jan_core.testing.wired import wired
from tests.e2e.server import MODEL, JanServer, add_model, write_config
from tests.e2e.test_e2e_code import MODULES, ROOT, until
from tests.own_environment import with_client

pytestmark = [
    pytest.mark.anyio,
    # The client says that OpenAI's own servers stopped answering these routes.
    pytest.mark.filterwarnings("ignore:(The Assistants API is )?deprecated:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="the limits of code are those of POSIX"),
]
END = 2**32
CODE = '''
def words(text: str) -> int:
    """How many words a text has."""
    return len(text.split())


async def run(context):
    """Has the model answer, and counts what it said."""
    said = ""
    async for chunk in await context.client.chat.completions.create(**context.request):
        yield chunk
        said += chunk.choices[0].delta.content or "" if chunk.choices else ""
    context.step("words", {"text": said}, words(said))
    yield f"These were {words(said)} words."
'''
ASKS = """
async def run(context):
    try:
        yield str([one.id async for one in context.client.models.list()])
        await context.client.beta.threads.create()
        yield " and a thread"
    except Exception as error:
        yield f"{type(error).__name__}: {error}"
"""

NESTED = """
async def run(context):
    left = int(context.messages[-1]["content"][0]["text"]["value"])
    if not left:
        yield "the bottom"
        return
    asked = context.client.beta.threads
    try:
        made = await asked.create_and_run_poll(
            assistant_id="jan",
            model="scripted",
            thread={"messages": [{"role": "user", "content": str(left - 1)}]},
            poll_interval_ms=20,
        )
        page = await asked.messages.list(made.thread_id)
        yield f"{left} > {page.data[0].content[0].text.value}"
    except Exception as error:
        yield f"{left}: {error.body['code']}"
"""


class Heard(AsyncAssistantEventHandler):
    """What the client's own handler makes of a stream."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.done: list[str] = []
        self.outputs: list[tuple[str, str]] = []

    @override
    async def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.texts.append(delta.value)

    @override
    async def on_message_done(self, message: Any) -> None:
        self.done.append(message.content[0].text.value)

    @override
    async def on_run_step_done(self, run_step: Any) -> None:
        if run_step.type == "tool_calls":
            self.outputs += [(one.function.name, one.function.output) for one in run_step.step_details.tool_calls]


def assistant(root: Path, code: str) -> Path:
    folder = root / "assistants" / "jan"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "index.py").write_text(code)
    with_client(folder)
    return folder


@pytest.fixture
async def openai(tmp_path: Path) -> AsyncIterator[AsyncOpenAI]:
    assistant(tmp_path, CODE)
    async with wired(tmp_path, {"server": {"log_requests": False}}, modules=MODULES) as jan, client(jan) as http:
        yield AsyncOpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)


async def test_its_answer_streams_through_the_client_inside_to_the_one_outside(openai: AsyncOpenAI) -> None:
    script = json.dumps({"say": ["one ", "two ", "three"], "rate": 20})
    thread = await openai.beta.threads.create(messages=[{"role": "user", "content": script}])
    handler = Heard()
    async with openai.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id="jan", model="scripted", event_handler=handler
    ) as stream:
        await stream.until_done()
    assert handler.texts == ["one ", "two ", "three", "These were 3 words."]
    assert handler.done == ["one two three", "These were 3 words."]
    assert handler.outputs == [("words", "3")]
    run = await handler.get_final_run()
    assert (run.status, run.usage.completion_tokens) == ("completed", 3)  # type: ignore[union-attr]


async def test_many_threads_at_once(openai: AsyncOpenAI) -> None:
    said: Any = [{"role": "user", "content": json.dumps({"say": ["one ", "two"], "rate": 50})}]

    async def one() -> list[str]:
        thread = await openai.beta.threads.create(messages=said)
        run = await openai.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id="jan", model="scripted", poll_interval_ms=20
        )
        assert run.status == "completed"
        page = await openai.beta.threads.messages.list(thread.id, order="asc")
        return [one.content[0].text.value for one in page.data[1:]]  # type: ignore[union-attr]

    assert await asyncio.gather(*(one() for n in range(8))) == [["one two", "These were 2 words."]] * 8


@pytest.mark.parametrize(
    ("deep", "said"), [(2, "2 > 1 > the bottom"), (6, "6 > 5 > 4 > 3 > 2: runs_too_deep")], ids=["some", "too deep"]
)
async def test_runs_within_runs_of_one_assistant_do_not_wait_for_each_other(
    tmp_path: Path, deep: int, said: str
) -> None:
    """Each has one place only, and none waits for its own."""
    assistant(tmp_path, NESTED)
    settings = {"server": {"log_requests": False}, "jan-code": {"runs": 1}}
    backends = {"jan-code": "jan_code"}
    async with wired(tmp_path, settings, modules=MODULES, backends=backends) as jan, client(jan) as http:
        outside = AsyncOpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)
        run = await outside.beta.threads.create_and_run_poll(
            assistant_id="jan",
            model="scripted",
            thread={"messages": [{"role": "user", "content": str(deep)}]},
            poll_interval_ms=20,
        )
        assert run.status == "completed", run.last_error
        page = await outside.beta.threads.messages.list(run.thread_id)
    assert page.data[0].content[0].text.value == said  # type: ignore[union-attr]


async def test_with_the_real_model(tmp_path: Path, smollm2_path: Path) -> None:
    root = tmp_path / "root"
    write_config(root)
    add_model(root, MODEL, smollm2_path, parameters={"max_tokens": 8, "temperature": 0})
    assistant(root, CODE)
    with JanServer(root) as server:
        outside = server.client()
        thread = outside.beta.threads.create(messages=[{"role": "user", "content": "Say hello."}])
        run = outside.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id="jan", model=MODEL, poll_interval_ms=50
        )
        assert run.status == "completed", run.last_error
        assert run.usage is not None
        assert 0 < run.usage.completion_tokens <= 8
        page = outside.beta.threads.messages.list(thread.id, order="asc")
        _, answer, counted = [one.content[0].text.value for one in page.data]  # type: ignore[union-attr]
        assert counted == f"These were {len(answer.split())} words."


async def test_the_callers_key_counts_and_the_code_has_none(tmp_path: Path) -> None:
    assistant(tmp_path, ASKS)
    path = tmp_path / "keys.toml"
    everything = changes.add(str(path), tmp_path, "everything", None, END)[1]
    few = changes.add(str(path), tmp_path, "few", read_scopes(["runs", "threads:read", "messages", "models"]), END)[1]
    jan = wired(
        tmp_path,
        {"server": {"log_requests": False}},
        modules=MODULES,
        plugins={"auth-keys": "jan_auth_keys"},
    )
    async with jan, client(jan) as http:

        async def said(key: str) -> str:
            openai = AsyncOpenAI(base_url="http://localhost/v1", api_key=key, max_retries=0, http_client=http)
            run = await openai.beta.threads.runs.create_and_poll(
                thread_id=thread.id, assistant_id="jan", model="scripted", poll_interval_ms=20
            )
            assert run.status == "completed", run.last_error
            page = await openai.beta.threads.messages.list(thread.id, limit=1)
            return str(page.data[0].content[0].text.value)  # type: ignore[union-attr]

        openai = AsyncOpenAI(base_url="http://localhost/v1", api_key=everything, max_retries=0, http_client=http)
        thread = await openai.beta.threads.create(messages=[{"role": "user", "content": "hello"}])
        assert await said(everything) == "['scripted'] and a thread"
        found = await said(few)
        assert found.startswith("['scripted']PermissionDeniedError: Error code: 403")
        assert "threads:write" in found


LEAVES_A_MARK = """
async def run(context):
    yield "begun"
    with open(context.messages[0]["content"][0]["text"]["value"], "a") as file:
        file.write("x")
    while True:
        pass
"""
SERVER = """
import asyncio, sys
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
        thread = await jan.threads.create(
            ThreadRequest.model_validate({"messages": [{"role": "user", "content": mark}]})
        )
        run = await jan.runs.create(thread.id, RunRequest(assistant_id="jan", model="scripted"))
        print(thread.id, run.id, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


async def test_a_server_killed_in_a_run_does_not_begin_it_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    index = tmp_path / "assistants" / "jan" / "src" / "index.py"
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
        assert "while the assistant's own run went on" in run.last_error.message
    assert mark.read_text() == "x"
