"""OpenAI's client as the tests have it, over both ends of the pipe."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_code.client import official

from jan_core.asgi import create_app
from jan_core.testing.wired import EVERYTHING, wired

from .wires import Wire

pytestmark = [
    pytest.mark.anyio,
    # The client says that OpenAI's own servers stopped answering these routes.
    pytest.mark.filterwarnings("ignore:(The Assistants API is )?deprecated:DeprecationWarning"),
]
SAID: Any = [{"role": "user", "content": '{"say": ["one ", "two"], "rate": 200}'}]


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with wired(tmp_path, {"server": {"log_requests": False}}, modules=EVERYTHING) as jan:
        wire = Wire(create_app(jan), longest=5000)
        yield wire
        await wire.serving.aclose()


async def test_answers_streams_and_errors(wire: Wire) -> None:
    from openai import APIStatusError, NotFoundError

    client = official(wire.pipe)
    whole = await client.chat.completions.create(model="scripted", messages=SAID)
    assert whole.choices[0].message.content == "one two"
    chunks = await client.chat.completions.create(model="scripted", messages=SAID, stream=True)
    assert "".join([one.choices[0].delta.content or "" async for one in chunks if one.choices]) == "one two"
    assert [one.id async for one in client.models.list()] == ["scripted"]
    with pytest.raises(NotFoundError, match="There is no model 'nobody'"):
        await client.models.retrieve("nobody")
    long = [{"role": "user", "content": "x" * 6000}]
    with pytest.raises(APIStatusError, match="may send 5000 at once") as error:
        await client.chat.completions.create(model="scripted", messages=long)
    assert error.value.status_code == 413
    thread = await client.beta.threads.create(messages=SAID)
    messages = await client.beta.threads.messages.list(thread.id)
    assert messages.data[0].content[0].text.value == SAID[0]["content"]


async def test_a_stream_that_is_closed_is_left(wire: Wire) -> None:
    said: Any = [{"role": "user", "content": '{"say": ["one "], "hang": true}'}]
    client = official(wire.pipe)
    stream = await client.chat.completions.create(model="scripted", messages=said, stream=True)
    assert wire.serving._going
    await stream.close()
    async with asyncio.timeout(2):
        while wire.serving._going:
            await asyncio.sleep(0.01)


async def test_many_at_once(wire: Wire) -> None:
    client = official(wire.pipe)
    found = await asyncio.gather(*(client.chat.completions.create(model="scripted", messages=SAID) for n in range(30)))
    assert {one.choices[0].message.content for one in found} == {"one two"}


async def test_a_server_that_could_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    from openai import APIConnectionError

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a defect")

    client = official(Wire(fails).pipe).with_options(max_retries=0)
    with pytest.raises(APIConnectionError) as error:
        await client.models.list()
    assert "the server could not answer" in str(error.value.__cause__)

    async def breaks_off(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        raise RuntimeError("a defect")

    client = official(Wire(breaks_off).pipe)
    stream = await client.chat.completions.create(model="scripted", messages=SAID, stream=True)
    with pytest.raises(APIConnectionError) as error:
        [one async for one in stream]
    assert "the server could not answer" in str(error.value.__cause__)


async def test_an_environment_without_it(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    class Missing:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name in missing:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    missing = {"openai"}
    for name in [one for one in sys.modules if one == "openai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match="name `openai` in the assistant's pyproject.toml"):
        official(wire.pipe)
