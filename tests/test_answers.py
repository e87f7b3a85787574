from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.errors import InvalidRequest, NotFound
from jan_core.inprocess import client
from jan_core.pages import cut
from jan_core.schemas.messages import AnnotatedText, Message, MessageRequest, MessagesQuery, TextPart
from jan_core.schemas.runs import Run, Unfinished
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.memory_runs import RunsInMemory
from jan_core.testing.wired import EVERYTHING, wired

pytestmark = pytest.mark.anyio

SERVED = {name: value for name, value in EVERYTHING.items() if name.split("-")[0] not in ("completions", "embeddings")}


@pytest.fixture
async def jan(tmp_path: Path) -> AsyncIterator[Jan]:
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


def has(monkeypatch: pytest.MonkeyPatch, told: Callable[[], Unfinished | None]) -> None:
    """Have every thread have an unfinished run, or none."""

    async def unfinished(self: RunsInMemory, thread_id: str) -> Unfinished | None:
        return told()

    monkeypatch.setattr(RunsInMemory, "unfinished", unfinished)


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
    jan: Jan, monkeypatch: pytest.MonkeyPatch, count: int, run_of_the_filter: str | None
) -> None:
    thread, stored = await new_thread(jan, count, "run_0")
    said = message(thread, "msg_said", "run_1", "in_progress")
    everything = [*stored, said]
    has(monkeypatch, lambda: going_on(thread, said))
    cursors = [None, *(one.id for one in everything)]
    for after, before, order, limit in itertools.product(cursors, cursors, ("asc", "desc"), (1, 2, 3, 20)):
        query = MessagesQuery.model_validate(
            {"after": after, "before": before, "order": order, "limit": limit, "run_id": run_of_the_filter}
        )
        wanted = cut(everything, query, keep=lambda one: run_of_the_filter in (None, one.run_id))
        found = await jan.messages.list(thread, query)
        assert found.model_dump() == wanted.model_dump(), query


async def test_a_message_that_was_stored_meanwhile_is_there_once(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    thread, stored = await new_thread(jan, 2)
    has(monkeypatch, lambda: going_on(thread, stored[1].model_copy(update={"status": "in_progress"})))
    for order in ("asc", "desc"):
        page = await jan.messages.list(thread, MessagesQuery.model_validate({"order": order}))
        assert sorted(one.id for one in page.data) == ["msg_0", "msg_1"]
        assert all(one.status == "completed" for one in page.data)
    assert (await jan.messages.retrieve(thread, "msg_1")).status == "completed"


async def test_cursors_that_name_nothing_are_refused_as_ever(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _ = await new_thread(jan, 2)
    said = message(thread, "msg_said", "run_1", "in_progress")
    has(monkeypatch, lambda: going_on(thread, said))
    for query in (
        MessagesQuery(after="msg_none"),
        MessagesQuery(before="msg_none"),
        MessagesQuery(before="msg_said", after="msg_none"),
        MessagesQuery(before="msg_said", after="msg_none", order="asc"),
        MessagesQuery(after="msg_said", before="msg_none"),
    ):
        with pytest.raises(InvalidRequest):
            await jan.messages.list(thread, query)


async def test_a_message_is_read_while_it_is_said_and_when_it_was_just_stored(
    jan: Jan, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, _ = await new_thread(jan, 1)
    said = message(thread, "msg_said", "run_1", "in_progress")
    has(monkeypatch, lambda: going_on(thread, said))
    assert (await jan.messages.retrieve(thread, "msg_said")).status == "in_progress"
    with pytest.raises(NotFound):
        await jan.messages.retrieve(thread, "msg_none")

    async def stored_meanwhile(self: RunsInMemory, thread_id: str) -> None:
        await jan.messages.put(message(thread, "msg_late"))

    monkeypatch.setattr(RunsInMemory, "unfinished", stored_meanwhile)
    assert (await jan.messages.retrieve(thread, "msg_late")).id == "msg_late"


async def test_a_deleted_thread_takes_no_message_for_another_reason(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    thread, _ = await new_thread(jan, 1)
    has(monkeypatch, lambda: going_on(thread, None))
    with pytest.raises(InvalidRequest) as refused:
        await jan.messages.create(thread, MessageRequest(role="user", content="x"))
    assert refused.value.code == "run_active"
    assert "run_1" in refused.value.message
    await jan.threads.delete(thread)
    with pytest.raises(NotFound):
        await jan.messages.create(thread, MessageRequest(role="user", content="x"))
    with pytest.raises(NotFound):
        await jan.messages.list(thread, MessagesQuery())
    with pytest.raises(NotFound):
        await jan.messages.retrieve(thread, "msg_0")


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
