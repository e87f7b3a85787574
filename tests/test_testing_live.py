from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from jan_core.errors import JanError, NotFound, NotSupported
from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.chat import ChatContract
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.watch import Watch
from jan_core.testing.live import check_all, checked
from jan_core.testing.memory_messages import MessagesInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import EVERYTHING, wired
from tests.command_line import POSIX, end, root_with, start, until
from tests.notes import Note, NoteRequest, Notes, NotesInMemory
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


@pytest.mark.anyio
async def test_closing_closes_what_is_below_and_tells_what_goes_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Left(ScriptedChat):
        async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
            try:
                async for chunk in super().create_stream(body):
                    yield chunk
            finally:
                raise LookupError("while it closes")

    async def one(chat: Any) -> None:
        events = chat.create_stream(ASKED)
        await anext(events)
        await events.aclose()

    async with wired(tmp_path, modules=EVERYTHING) as jan:
        right = ScriptedChat(jan)
        await one(checked(right))
        assert (right.open, right.closed) == (0, 1)
        assert caplog.text == ""
        assert "closing its stream raised LookupError" in await told(caplog, one(checked(Left(jan))))


@pytest.mark.anyio
async def test_the_first_broken_promise_of_a_stream_is_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Doubled(ScriptedChat):
        async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
            self.left = 3
            async with contextlib.aclosing(super().create_stream(body)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    yield chunk
                    yield chunk
                    self.left -= 1

    found: list[Any] = []

    async def read(chat: Any) -> None:
        async for chunk in chat.create_stream(ASKED):
            found.append(chunk)

    async with wired(tmp_path, modules=EVERYTHING) as jan:
        wrong = Doubled(jan)
        assert "the role, after the first chunk" in await told(caplog, read(checked(wrong, ChatContract)))
    assert [one.choices[0].delta.role for one in found] == ["assistant"]
    assert (wrong.left, wrong.open) == (3, 0)
    assert caplog.text.count("contract broken") == 1


class NoteWatch(Watch):
    """Notes are shouted, and nobody asks for a silent one."""

    def asked(self) -> None:
        super().asked()
        if self.arguments["body"].text == "silent":
            raise Broken("its caller asks for what cannot be shouted")

    def answered(self, reply: Any) -> None:
        super().answered(reply)
        assert reply.text.isupper(), "an assertion is no Broken: the check fails by itself"


class NotesContract(Contract):
    endpoint = Notes
    letter = "N"
    live = {"create": NoteWatch}  # noqa: RUF012


@pytest.mark.anyio
async def test_a_strangers_endpoint_brings_its_own(caplog: pytest.LogCaptureFixture) -> None:
    class Shouting(NotesInMemory):
        async def retrieve(self, note_id: str) -> Note:
            return Note(id="note_another", text="A")

    plain, notes = checked(NotesInMemory()), checked(Shouting(), NotesContract)
    assert (await plain.create(NoteRequest(text="silent"))).text == "silent"  # type: ignore[attr-defined]
    assert (await notes.create(NoteRequest(text="A"))).text == "A"  # type: ignore[attr-defined]
    assert "cannot be shouted" in await told(caplog, notes.create(NoteRequest(text="silent")))  # type: ignore[attr-defined]
    assert [one.id for one in (await notes.list(PageQuery())).data] == ["note_0"]  # type: ignore[attr-defined]
    by_itself = await told(caplog, notes.create(NoteRequest(text="a")))  # type: ignore[attr-defined]
    assert "a live check of it failed by itself, and raised AssertionError" in by_itself
    assert "asked for 'note_0'" in await told(caplog, notes.retrieve("note_0"))  # type: ignore[attr-defined]
    assert await notes.erase(prefix="a", keep=1) == 0  # type: ignore[attr-defined]
    assert "'keep' as str" in await told(caplog, notes.erase("a", keep="1"))  # type: ignore[attr-defined]
    # What is left out refuses, whatever it is given.
    with pytest.raises(NotSupported):
        await notes.delete(None)  # type: ignore[attr-defined]


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


OWN = """\
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.models import ModelsContract
from jan_core.testing.contract.watch import Watch

class Looks(Watch):
    def answered(self, reply):
        raise Broken("nothing is good enough")

class Own(ModelsContract):
    live = {"list": Looks}
"""


def test_two_contracts_of_one_endpoint_are_refused(site: Site, tmp_path: Path) -> None:
    site.add("jan-own", {"jan_own.py": OWN}, {"contracts": {"models": "jan_own:Own"}})
    done = end(start("serve", "--check", "--root", tmp_path / "root", "--port", "0", site=site))
    assert done.code == 2
    assert "two contracts are installed for the endpoint 'models'" in done.err
    assert "jan_own:Own" in done.err
