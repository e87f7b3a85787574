from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from jan_postgresql.testing import dsn_for

from jan_core.app import Jan
from jan_core.errors import InvalidRequest
from jan_core.inprocess import client
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery
from jan_core.schemas.threads import ThreadRequest
from jan_core.testing.wired import wired

pytestmark = pytest.mark.anyio

MODULES = {
    "models-memory": "jan_core.testing.memory",
    "threads-postgresql": "jan_threads_postgresql",
    "messages-postgresql": "jan_messages_postgresql",
}
SAID = MessageRequest(role="user", content="hello")


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    return dsn_for(tmp_path)


@pytest.fixture
async def jan(tmp_path: Path, dsn: str) -> AsyncIterator[Jan]:
    backends = {one.name: one for one in entry_points(group="jan.backends")}
    # One connection, so that the statements of a test come one after another.
    table = {"dsn": dsn, "max_connections": 1}
    tables = {"jan-postgresql": table, "server": {"log_requests": False}}
    async with wired(tmp_path / "root", tables, modules=MODULES, backends=backends) as entered:
        yield entered


@pytest.fixture
async def http(jan: Jan) -> AsyncIterator[httpx2.AsyncClient]:
    async with client(jan) as found:
        yield found


async def test_what_no_column_can_hold_is_no_500(http: httpx2.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["id"]
    path = f"/threads/{thread}/messages"
    for text in ("\0", "a\0b", "\U0001f600" * 1000, "x" * 256_000, "".join(map(chr, range(0xD7FF)))):
        made = await http.post(path, json={"role": "user", "content": text, "metadata": {text[:64]: text[:512]}})
        assert made.status_code == 200
        read = (await http.get(f"{path}/{made.json()['id']}")).json()
        assert read["content"][0]["text"]["value"] == text
        assert read == made.json()
    assert (await http.get(path, params={"run_id": "\0"})).json()["data"] == []
    for name in ("after", "before"):
        for id in ("\0", "a\0", "%00", "' OR 1=1 --"):
            assert (await http.get(path, params={name: id})).status_code == 400
    assert (await http.get(f"{path}/a%00b")).status_code == 400


async def test_a_megabyte_in_parts(http: httpx2.AsyncClient) -> None:
    thread = (await http.post("/threads", json={})).json()["id"]
    parts = [{"type": "text", "text": character * 250_000} for character in "aü\0\U0001f600"]
    made = await http.post(f"/threads/{thread}/messages", json={"role": "user", "content": parts})
    assert made.status_code == 200
    (read,) = (await http.get(f"/threads/{thread}/messages")).json()["data"]
    assert [one["text"]["value"] for one in read["content"]] == [one["text"] for one in parts]


async def test_whoever_follows_a_thread_misses_nothing_of_many_writers(jan: Jan) -> None:
    """A reader asks for what came after the last it saw, while others write: none shows up before it later."""
    thread = (await jan.threads.create(ThreadRequest())).id
    seen: list[str] = []

    async def write() -> list[str]:
        return [(await jan.messages.create(thread, SAID)).id for _ in range(10)]

    async def follow(writers: asyncio.Future[Any]) -> None:
        while True:
            last = writers.done()
            after = seen[-1] if seen else None
            page = await jan.messages.list(thread, MessagesQuery(order="asc", after=after, limit=100))
            seen.extend(one.id for one in page.data)
            if last and not page.data:
                return

    writers = asyncio.gather(*(write() for _ in range(8)))
    await follow(writers)
    assert sorted(seen) == sorted(id for ids in await writers for id in ids)


async def test_a_thread_of_more_than_one_bite_is_cleared(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jan_messages_postgresql.store.SOME", 3)
    thread = (await jan.threads.create(ThreadRequest(messages=[SAID] * 10))).id
    await jan.messages.clear(thread)
    assert (await jan.messages.list(thread, MessagesQuery())).data == []


async def test_clearing_forgets_what_was_answered_under_keys(jan: Jan, http: httpx2.AsyncClient, dsn: str) -> None:
    thread = (await jan.threads.create(ThreadRequest())).id
    secret = {"role": "user", "content": "secret"}
    await http.post(f"/threads/{thread}/messages", json=secret, headers={"idempotency-key": "k"})
    await jan.messages.clear(thread)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        assert await (await connection.execute("SELECT reply FROM jan.replies")).fetchall() == []


async def test_a_message_put_with_what_no_column_can_hold_is_refused(jan: Jan) -> None:
    message = Message(id="msg_1", created_at=1, thread_id="jan-1", role="user", content=[], run_id="a\0")
    with pytest.raises(InvalidRequest, match="run_id"):
        await jan.messages.put(message)
