from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.inprocess import client
from jan_core.pages import cut
from jan_core.schemas.messages import (
    AnnotatedText,
    Message,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
    TextPart,
)
from jan_core.schemas.runs import Run, RunRequest, Unfinished
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.memory_runs import RunsInMemory
from jan_core.testing.wired import EVERYTHING, SCRIPTED, wired
from tests.conversations import KINDS, under
from tests.conversations import said as body_of

pytestmark = pytest.mark.anyio

SERVED = {name: value for name, value in EVERYTHING.items() if name.split("-")[0] not in ("completions", "embeddings")}


Told = Callable[[], Any]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Told]:
    """What `unfinished` does, where a test puts something here."""
    says: list[Told] = []
    really = RunsInMemory.unfinished

    async def unfinished(self: RunsInMemory, thread_id: str) -> Unfinished | None:
        found = says[-1]() if says else really(self, thread_id)
        return await found if isawaitable(found) else found

    monkeypatch.setattr(RunsInMemory, "unfinished", unfinished)
    return says


@pytest.fixture
async def jan(tmp_path: Path, told: list[Told]) -> AsyncIterator[Jan]:
    async with wired(tmp_path, {"server": {"log_requests": False}}, modules=SERVED) as made:
        yield made


def message(thread: str, id: str, run: str | None = None, status: Any = "completed") -> Message:
    return Message(
        id=id,
        thread_id=thread,
        created_at=1,
        role="assistant",
        status=status,
        content=[TextPart(text=AnnotatedText(value=id))],
        run_id=run,
    )


def going_on(thread: str, said: Message | None) -> Unfinished:
    run = Run(id="run_1", thread_id=thread, assistant_id="jan", created_at=1, status="in_progress", model="m")
    return Unfinished(run=run, message=said)


async def new_thread(jan: Jan, count: int, run: str | None = None) -> tuple[str, list[Message]]:
    thread: str = (await jan.threads.create(ThreadRequest())).id
    stored = [message(thread, f"msg_{n}", run if n % 2 else None) for n in range(count)]
    for one in stored:
        await jan.messages.put(one)
    return thread, stored


@pytest.mark.parametrize("run_of_the_filter", [None, "run_0", "run_1"])
@pytest.mark.parametrize("count", [0, 1, 2, 4])
async def test_every_page_is_as_if_the_message_were_stored(
    jan: Jan, told: list[Told], count: int, run_of_the_filter: str | None
) -> None:
    thread, stored = await new_thread(jan, count, "run_0")
    said = message(thread, "msg_said", "run_1", "in_progress")
    everything = [*stored, said]
    told.append(lambda: going_on(thread, said))
    cursors = [None, *(one.id for one in everything)]
    for after, before, order, limit in itertools.product(cursors, cursors, ("asc", "desc"), (1, 2, 3, 20)):
        query = MessagesQuery.model_validate(
            {"after": after, "before": before, "order": order, "limit": limit, "run_id": run_of_the_filter}
        )
        wanted = cut(everything, query, keep=lambda one: run_of_the_filter in (None, one.run_id))
        found = await jan.messages.list(thread, query)
        assert found.model_dump() == wanted.model_dump(), query


async def test_a_message_that_was_stored_meanwhile_is_there_once(jan: Jan, told: list[Told]) -> None:
    thread, stored = await new_thread(jan, 2)
    told.append(lambda: going_on(thread, stored[1].model_copy(update={"status": "in_progress"})))
    for order in ("asc", "desc"):
        page = await jan.messages.list(thread, MessagesQuery.model_validate({"order": order}))
        assert sorted(one.id for one in page.data) == ["msg_0", "msg_1"]
        assert all(one.status == "completed" for one in page.data)
    assert (await jan.messages.retrieve(thread, "msg_1")).status == "completed"


async def test_cursors_that_name_nothing_are_refused_as_ever(jan: Jan, told: list[Told]) -> None:
    thread, _ = await new_thread(jan, 2)
    said = message(thread, "msg_said", "run_1", "in_progress")
    told.append(lambda: going_on(thread, said))
    for query in (
        MessagesQuery(after="msg_none"),
        MessagesQuery(before="msg_none"),
        MessagesQuery(before="msg_said", after="msg_none"),
        MessagesQuery(before="msg_said", after="msg_none", order="asc"),
        MessagesQuery(after="msg_said", before="msg_none"),
    ):
        with pytest.raises(InvalidRequest):
            await jan.messages.list(thread, query)


async def test_a_message_is_read_while_it_is_said_and_when_it_was_just_stored(jan: Jan, told: list[Told]) -> None:
    thread, _ = await new_thread(jan, 1)
    said = message(thread, "msg_said", "run_1", "in_progress")
    told.append(lambda: going_on(thread, said))
    assert (await jan.messages.retrieve(thread, "msg_said")).status == "in_progress"
    with pytest.raises(NotFound):
        await jan.messages.retrieve(thread, "msg_none")

    async def stored_meanwhile() -> None:
        await jan.messages.put(message(thread, "msg_late"))

    told.append(stored_meanwhile)
    assert (await jan.messages.retrieve(thread, "msg_late")).id == "msg_late"


async def test_a_deleted_thread_takes_no_message_for_another_reason(jan: Jan, told: list[Told]) -> None:
    thread, _ = await new_thread(jan, 1)
    told.append(lambda: going_on(thread, None))
    with pytest.raises(InvalidRequest) as refused:
        await jan.messages.create(thread, MessageRequest(role="user", content="x"))
    assert (refused.value.code, refused.value.param) == ("run_active", "thread_id")
    assert "run_1" in refused.value.message
    await jan.threads.delete(thread)
    with pytest.raises(NotFound):
        await jan.messages.create(thread, MessageRequest(role="user", content="x"))
    with pytest.raises(NotFound):
        await jan.messages.list(thread, MessagesQuery())
    with pytest.raises(NotFound):
        await jan.messages.retrieve(thread, "msg_0")


async def test_a_message_that_is_being_said_is_changed_later(jan: Jan, told: list[Told]) -> None:
    thread, _ = await new_thread(jan, 1)
    said = message(thread, "msg_said", "run_1", "in_progress")
    update = MessageUpdate(metadata={"a": "b"})
    told.append(lambda: going_on(thread, said))
    for ask in (lambda: jan.messages.update(thread, said.id, update), lambda: jan.messages.delete(thread, said.id)):
        with pytest.raises(InvalidRequest) as refused:
            await ask()
        assert (refused.value.code, refused.value.param) == ("run_active", "message_id")
        assert "run_1" in refused.value.message
    with pytest.raises(NotFound) as missing:
        await jan.messages.delete(thread, "msg_none")
    assert missing.value.code == "message_not_found"
    with pytest.raises(NotFound) as missing:
        await jan.messages.delete("jan-1-none", said.id)
    assert missing.value.code == "thread_not_found"

    async def stored_meanwhile() -> None:
        await jan.messages.put(said)

    told.append(stored_meanwhile)
    assert (await jan.messages.update(thread, said.id, update)).metadata == {"a": "b"}


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_a_message_that_comes_again_is_answered_as_before(tmp_path: Path, kind: str, told: list[Told]) -> None:
    runs = {"runs-memory": EVERYTHING["runs-memory"]}
    async with wired(tmp_path, modules={**SCRIPTED, **KINDS[kind], **runs}) as jan:
        thread, _ = await new_thread(jan, 1)
        first = await under("k", lambda: jan.messages.create(thread, body_of("hello")))
        gone = await under("l", lambda: jan.messages.create(thread, body_of("gone")))
        await jan.messages.delete(thread, gone.id)
        told.append(lambda: going_on(thread, None))
        assert await under("k", lambda: jan.messages.create(thread, body_of("hello"))) == first
        assert await under("l", lambda: jan.messages.create(thread, body_of("gone"))) == gone
        with pytest.raises(Conflict):
            await under("k", lambda: jan.messages.create(thread, body_of("other")))
        for ask in (
            lambda: under("m", lambda: jan.messages.create(thread, body_of("hello"))),
            lambda: jan.messages.create(thread, body_of("hello")),
        ):
            with pytest.raises(InvalidRequest) as refused:
                await ask()
            assert refused.value.code == "run_active"
        assert len((await jan.messages.list(thread, MessagesQuery())).data) == 2


async def test_a_store_that_cannot_tell_refuses_what_comes_again(
    jan: Jan, told: list[Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, _ = await new_thread(jan, 0)
    await under("k", lambda: jan.messages.create(thread, body_of("hello")))
    told.append(lambda: going_on(thread, None))
    monkeypatch.setattr(jan.messages, "supports", lambda name: False)
    with pytest.raises(InvalidRequest):
        await under("k", lambda: jan.messages.create(thread, body_of("hello")))


async def test_messages_at_once_wait_for_no_other(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _ = await new_thread(jan, 0)
    at_once = asyncio.Barrier(3)
    really = jan.threads.check

    async def check(thread_id: str) -> None:
        await asyncio.wait_for(at_once.wait(), 20)
        await really(thread_id)

    monkeypatch.setattr(jan.threads, "check", check)
    await asyncio.gather(*(jan.messages.create(thread, body_of(text)) for text in "abc"))


async def test_a_run_begins_when_what_was_taken_is_stored(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _ = await new_thread(jan, 0)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def check(thread_id: str) -> None:
        begun.set()
        await go_on.wait()

    with monkeypatch.context() as patched:
        patched.setattr(jan.threads, "check", check)
        adding = asyncio.create_task(jan.messages.create(thread, body_of("first")))
        await begun.wait()
    running = asyncio.create_task(jan.runs.create(thread, RunRequest(assistant_id="jan", model="scripted")))
    await asyncio.sleep(0.02)
    assert not running.done()
    go_on.set()
    await adding
    await running
    async with asyncio.timeout(20):
        while len(found := (await jan.messages.list(thread, MessagesQuery(order="asc"))).data) < 2:
            await asyncio.sleep(0.01)
    assert [one.role for one in found] == ["user", "assistant"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_has_read_every_message_that_was_taken_before_it(
    jan: Jan, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    thread, _ = await new_thread(jan, 0)
    await jan.messages.create(thread, body_of(json.dumps({"say": ["a"], "hang": True})))
    begun, go_on = asyncio.Event(), asyncio.Event()
    really = RunsInMemory._made

    async def slow(self: RunsInMemory, *arguments: Any) -> Any:
        begun.set()
        await go_on.wait()
        return await really(self, *arguments)

    monkeypatch.setattr(RunsInMemory, "_made", slow)
    body = RunRequest(assistant_id="jan", model="scripted")

    async def events() -> list[Any]:
        return [event async for event in jan.runs.create_stream(thread, body)]

    running = asyncio.create_task(events() if stream else jan.runs.create(thread, body))
    await begun.wait()
    adding = asyncio.create_task(jan.messages.create(thread, body_of("late")))
    await asyncio.sleep(0.02)
    assert not adding.done()
    go_on.set()
    with pytest.raises(InvalidRequest) as refused:
        await adding
    assert refused.value.code == "run_active"
    running.cancel()
    await asyncio.wait([running])


async def test_without_runs_nothing_is_around_messages(tmp_path: Path) -> None:
    modules = {name: value for name, value in SERVED.items() if not name.startswith("runs")}
    async with wired(tmp_path, modules=modules) as jan:
        assert type(jan.messages).__name__ == "MessagesInMemory"
        thread, _ = await new_thread(jan, 1)
        await jan.messages.create(thread, MessageRequest(role="user", content="x"))


async def test_the_path_of_runs_is_no_thread(jan: Jan) -> None:
    assistant = {"model": "scripted"}
    async with client(jan) as http:
        made = (await http.post("/assistants", json=assistant)).json()["id"]
        for method in ("GET", "DELETE"):
            assert (await http.request(method, "/threads/runs")).status_code == 404
        reply = await http.post("/threads/runs", json={"assistant_id": made})
        assert reply.status_code == 200
        assert reply.json()["object"] == "thread.run"
        whole = await http.post(
            "/threads/runs",
            content=json.dumps({"assistant_id": made, "thread": {"title": "runs"}, "stream": True}),
            headers={"content-type": "application/json"},
        )
        assert whole.text.startswith("event: thread.created\n")


async def test_without_runs_their_path_is_nothing(tmp_path: Path) -> None:
    modules = {name: value for name, value in SERVED.items() if not name.startswith("runs")}
    async with wired(tmp_path, modules=modules) as jan, client(jan) as http:
        assert (await http.post("/threads/runs", json={})).status_code == 404
