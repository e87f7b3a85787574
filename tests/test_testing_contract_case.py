from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from jan_core.errors import InvalidRequest, NotFound, NotSupported
from jan_core.schemas.messages import Message, MessageRequest
from jan_core.testing.contract.case import Broken, Case, check_type, holds, meanwhile, same, segment, settled, written
from jan_core.testing.wired import one_module

pytestmark = pytest.mark.anyio

MESSAGE = Message.of(MessageRequest(role="user", content="hi"), id="msg_1", thread_id="jan-1", created_at=5)


def case(folder: Path) -> Case:
    return Case(lambda root: one_module(root, "messages", "messages-memory"), "messages", folder)


async def test_asking_tells_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with case(tmp_path) as one:
        with pytest.raises(NotFound):
            await one.ask("messages.retrieve", "jan-1", "msg_1")

        async def fails(*arguments: Any) -> Any:
            raise KeyError("inside")

        async def other(*arguments: Any) -> Any:
            return written(MESSAGE)

        for answer, told in ((fails, "raised KeyError"), (other, "answered a dict")):
            monkeypatch.setattr(one.tested, "retrieve", answer)
            with pytest.raises(Broken, match=told):
                await one.ask("messages.retrieve", "jan-1", "msg_1")


async def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with case(tmp_path) as one:
        asked = ("messages.retrieve", "jan-1-none", "msg_1")
        await one.refused(NotFound, *asked, code="thread_not_found")
        with pytest.raises(Broken, match="not with InvalidRequest"):
            await one.refused(InvalidRequest, *asked)
        with pytest.raises(Broken, match="code is 'thread_not_found'"):
            await one.refused(NotFound, *asked, code="message_not_found")

        async def answers(*arguments: Any) -> Any:
            return MESSAGE

        monkeypatch.setattr(one.tested, "retrieve", answers)
        with pytest.raises(Broken, match="instead of refusing"):
            await one.refused(NotFound, *asked)


async def test_replies_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with case(tmp_path) as one:
        status, told = await one.send("GET", "/threads/jan-1-none/messages")
        assert (status, told["error"]["code"]) == (404, "thread_not_found")

        async def fails(*arguments: Any, **named: Any) -> Any:
            raise KeyError("inside")

        monkeypatch.setattr(one.tested, "list", fails)
        with pytest.raises(Broken, match="answered 500"):
            await one.send("GET", "/threads/jan-1-none/messages")


async def test_what_is_left_out_must_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with case(tmp_path) as one:

        async def refuses(*arguments: Any, **named: Any) -> Any:
            raise NotSupported("It is left out.")

        with pytest.raises(Broken, match="must raise NotSupported"):
            await one.not_supported("retrieve")
        monkeypatch.setattr(one.tested, "retrieve", refuses)
        await one.not_supported("retrieve")


async def test_a_wrapper_is_outermost_for_a_while(tmp_path: Path) -> None:
    async with case(tmp_path) as one:
        seen: list[Any] = []

        async def around(proceed: Any, *arguments: Any) -> Any:
            seen.append(arguments)
            return await proceed(*arguments)

        with one.around("messages.retrieve", around):
            await one.refused(NotFound, "messages.retrieve", "jan-1", "msg_1")
            assert (await one.send("GET", "/threads/jan-2/messages/msg_2"))[0] == 404
        await one.refused(NotFound, "messages.retrieve", "jan-3", "msg_3")
        assert seen == [("jan-1", "msg_1"), ("jan-2", "msg_2")]


async def test_an_escape_shows(tmp_path: Path) -> None:
    async with case(tmp_path) as one:
        one.root.mkdir()
        write(f"{one.root}/inside")
        assert one.escaped() == []
        for id in (*one.hostile_ids(), str(one.root.parent / "beside")):
            if id.startswith("/"):
                write(id)
        assert one.escaped() == ["absolute", "around/beside"]


def write(path: str) -> None:
    Path(path).write_text("a")


async def test_no_hostile_id_leads_out_of_the_tests_folder(tmp_path: Path) -> None:
    async with case(tmp_path) as one:
        # As deep as a store keeps things, at least.
        inside = one.root / "threads" / "jan-1"
        for id in one.hostile_ids():
            if "\0" not in id and "\ud800" not in id:
                assert (inside / id).resolve().is_relative_to(tmp_path), id


def test_types_are_looked_at_all_the_way_down() -> None:
    check_type("x", Message, MESSAGE)
    check_type("x", list[Message], [MESSAGE])
    check_type("x", type(None), None)
    for declared, reply in (
        (Message, MESSAGE.model_copy(update={"role": "nobody"})),
        (Message, None),
        (list[Message], [None]),
        (type(None), MESSAGE),
    ):
        with pytest.raises(Broken):
            check_type("x", declared, reply)


async def test_small_words() -> None:
    same("it", 1, 1)
    holds(True, "it")
    with pytest.raises(Broken, match="it: 1 was found, and 2 is right"):
        same("it", 1, 2)
    with pytest.raises(Broken, match=r"it: {'b': 2} was found, and {'b': 3, 'c': 4} is right"):
        same("it", {"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
    with pytest.raises(Broken, match="it does not"):
        holds([], "it does not")
    assert segment("a/b\ud800 ü") == "a%2Fb%ED%A0%80%20%C3%BC"

    async def one() -> int:
        return 1

    async def fails() -> int:
        raise LookupError

    assert await settled([one(), one()]) == [1, 1]
    with pytest.raises(LookupError):
        await settled([one(), fails()])


async def test_of_what_goes_on_meanwhile_nothing_is_left(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("inside")

    async def answers() -> str:
        return "well"

    async def breaks(work: Coroutine[Any, Any, None]) -> None:
        async with meanwhile(work):
            await asyncio.sleep(0.01)
            raise Broken("the block")

    async with meanwhile(answers()) as task:
        assert await task == "well"
    before = asyncio.all_tasks()
    for work in (fails(), asyncio.sleep(60)):
        with pytest.raises(Broken, match="the block"):
            await breaks(work)
    assert asyncio.all_tasks() == before
    gc.collect()
    assert "never retrieved" not in caplog.text
