from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from jan_core.errors import JanError, NotFound
from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.live import check_all, checked
from jan_core.testing.memory_messages import MessagesInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import EVERYTHING, wired
from tests.command_line import POSIX, end, root_with, start, until
from tests.parts import Site, chat_body

BODY = MessageRequest(role="user", content="hello")
ASKED = ChatCompletionRequest.model_validate(chat_body({"say": ["a", "b"]}))


@pytest.mark.anyio
async def test_what_is_right_passes(tmp_path: Path) -> None:
    jan = wired(tmp_path, modules=EVERYTHING)
    check_all(jan)
    async with jan:
        thread = await jan.threads.create(ThreadRequest())
        made = await jan.messages.create(thread.id, BODY)
        assert (await jan.messages.list(thread.id, MessagesQuery())).data == [made]
        with pytest.raises(NotFound):
            await jan.messages.retrieve(thread.id, "msg_none")
        await jan.messages.put(made)
        assert [one.choices[0].delta.content async for one in jan.chat.create_stream(ASKED)] == ["", "a", "b", None]


async def told(caplog: pytest.LogCaptureFixture, asked: Any) -> str:
    with caplog.at_level(logging.ERROR, "jan"), pytest.raises(JanError) as caught:
        await asked
    assert (caught.value.status, caught.value.code) == (500, "contract_broken")
    assert "contract broken: " in caplog.text
    return caught.value.message


@pytest.mark.anyio
async def test_what_is_wrong_does_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(MessagesInMemory):
        async def create(self, thread_id: str, body: MessageRequest) -> Message:
            return {"id": "msg_1"}  # type: ignore[return-value]

        async def clear(self, thread_id: str) -> None:
            raise KeyError(thread_id)

    async with wired(tmp_path, modules=EVERYTHING) as jan:
        wrong = checked(Wrong(jan))
        assert "answered a dict, and Message is declared" in await told(caplog, wrong.create("jan-1", BODY))  # type: ignore[attr-defined]
        assert "it raised KeyError" in await told(caplog, wrong.clear("jan-1"))  # type: ignore[attr-defined]
        for arguments, name in ((("jan-1", {"role": "user"}), "'body' as dict"), ((5, BODY), "'thread_id' as int")):
            assert name in await told(caplog, wrong.create(*arguments))  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_streams_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(ScriptedChat):
        async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
            self.open += 1
            try:
                async for chunk in super().create_stream(body):
                    yield chunk
                yield {"id": 5}  # type: ignore[misc]
            finally:
                self.open -= 1

    class Failing(ScriptedChat):
        async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
            async for chunk in super().create_stream(body):
                yield chunk
            raise LookupError("inside")

    async def read(chat: Any) -> None:
        async for chunk in chat.create_stream(ASKED):
            assert isinstance(chunk, ChatCompletionChunk)

    async with wired(tmp_path, modules=EVERYTHING) as jan:
        wrong = Wrong(jan)
        assert "answered a dict" in await told(caplog, read(checked(wrong)))
        assert wrong.open == 0
        assert "it raised LookupError" in await told(caplog, read(checked(Failing(jan))))


WRONG = """\
from jan_core.hookspecs import hookimpl
from jan_core.testing.memory import ModelsInMemory

class Wrong(ModelsInMemory):
    async def list(self):
        return [5]

@hookimpl
def provide_models(settings, jan):
    return Wrong()
"""


@POSIX
def test_a_server_with_checks(site: Site, tmp_path: Path) -> None:
    site.add("jan-wrong", {"jan_wrong.py": WRONG}, {"modules": {"models-wrong": "jan_wrong"}})
    root = root_with(tmp_path / "root", '[endpoints]\nmodels = "models-wrong"\n')
    process = start("serve", "--check", "--root", root, "--port", "0", site=site)
    address = until(process, "stream=True").split("Jan answers at ")[1].split()[0]
    with pytest.raises(HTTPError) as caught:
        urlopen(f"{address}/models", timeout=60)
    told = json.loads(caught.value.read())["error"]
    assert (caught.value.status, told["code"]) == (500, "contract_broken")
    assert "models.list answered a list, and ModelList is declared" in told["message"]
    process.terminate()
    assert "contract broken: models.list" in end(process).err
