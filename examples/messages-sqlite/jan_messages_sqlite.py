"""The messages of Jan's threads in a SQLite database: `messages = "messages-sqlite"` under `[endpoints]`."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from jan_core.endpoints.messages import Messages
from jan_core.errors import InvalidRequest, NotFound, Unavailable
from jan_core.folder.names import check_name
from jan_core.hookspecs import hookimpl
from jan_core.idempotency import Once, once
from jan_core.ids import new_id, now
from jan_core.schemas.messages import (
    Message,
    MessageDeleted,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
)
from pydantic import BaseModel, ConfigDict

T = TypeVar("T")

TABLES = """
CREATE TABLE IF NOT EXISTS messages (
    place INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of storing
    thread_id TEXT NOT NULL,
    id TEXT NOT NULL,
    run_id TEXT,
    body TEXT NOT NULL,
    UNIQUE (thread_id, id)
);
CREATE INDEX IF NOT EXISTS of_thread ON messages (thread_id, place);
CREATE INDEX IF NOT EXISTS of_run ON messages (thread_id, run_id, place);
CREATE TABLE IF NOT EXISTS replies (  -- of requests with an Idempotency-Key
    thread_id TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    reply TEXT NOT NULL,
    PRIMARY KEY (thread_id, key)
);
"""


class Settings(BaseModel):
    """`[messages-sqlite]` of `jan.toml`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    file: str = "messages.db"
    """The database, from the root."""
    wait_seconds: float = 30
    """How long a write waits for another process's."""


class MessagesSqlite(Messages):
    """Messages in a database, a row each."""

    def __init__(self, settings: Settings, jan: Any) -> None:
        self._jan = jan
        self._path: Path = jan.root / settings.file
        self._wait = settings.wait_seconds
        self._limit = anyio.CapacityLimiter(4)
        self._turn = threading.Lock()
        self._database: sqlite3.Connection | None = None

    async def __aexit__(self, *_: object) -> None:
        with self._turn:
            if self._database is not None:
                self._database.close()
                self._database = None

    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        await self._jan.threads.check(thread_id)
        message = Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=now())
        asked = once("messages.create", body, thread_id)
        return await self._write(lambda database: _create(database, message, asked))

    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        await self._jan.threads.check(thread_id)
        return await self._do(lambda database: _page(database, thread_id, query))

    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")
        return await self._do(lambda database: _message(database, thread_id, message_id))

    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")

        def change(database: sqlite3.Connection) -> Message:
            message = _message(database, thread_id, message_id).changed(body)
            _put(database, message)
            return message

        return await self._write(change)

    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")

        def remove(database: sqlite3.Connection) -> None:
            asked = (thread_id, message_id)
            if not database.execute("DELETE FROM messages WHERE thread_id = ? AND id = ?", asked).rowcount:
                raise _not_found(thread_id, message_id)

        await self._write(remove)
        return MessageDeleted(id=message_id, deleted=True)

    async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
        at = now()
        messages = [Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=at) for body in bodies]

        def replace(database: sqlite3.Connection) -> None:
            _clear(database, thread_id)
            for message in messages:
                _put(database, message)

        await self._write(replace)
        return messages

    async def put(self, message: Message) -> None:
        await self._write(lambda database: _put(database, message))

    async def clear(self, thread_id: str) -> None:
        await self._write(lambda database: _clear(database, thread_id))

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do all of it in one transaction, or nothing."""

        def inside(database: sqlite3.Connection) -> T:
            database.execute("BEGIN IMMEDIATE")
            try:
                done = work(database)
            except BaseException:
                database.rollback()
                raise
            database.commit()
            return done

        return await self._do(inside)

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work in a thread: the event loop waits for no disk. What began is done, even when the caller gives up."""

        def do() -> T:
            try:
                with self._turn:
                    return work(self._opened())
            except sqlite3.Error as error:
                raise Unavailable(f"{self._path}: {error}.", code="storage_failed") from error

        return await anyio.to_thread.run_sync(do, limiter=self._limit)

    def _opened(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self._path, timeout=self._wait, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA synchronous = EXTRA")  # what was answered survives a power cut
            self._database.executescript(TABLES)
        return self._database


def _create(database: sqlite3.Connection, message: Message, asked: Once | None) -> Message:
    if asked is not None:
        kept = _one(
            database,
            "SELECT fingerprint, reply FROM replies WHERE thread_id = ? AND key = ?",
            message.thread_id,
            asked.key,
        )
        if kept is not None:
            asked.check(kept[0])
            return Message.model_validate_json(kept[1])
        values = (message.thread_id, asked.key, asked.fingerprint, message.model_dump_json())
        database.execute("INSERT INTO replies VALUES (?, ?, ?, ?)", values)
    _put(database, message)
    return message


def _put(database: sqlite3.Connection, message: Message) -> None:
    database.execute(
        "INSERT INTO messages (thread_id, id, run_id, body) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (thread_id, id) DO UPDATE SET run_id = excluded.run_id, body = excluded.body",
        (message.thread_id, message.id, message.run_id, message.model_dump_json()),
    )


def _clear(database: sqlite3.Connection, thread_id: str) -> None:
    for table in ("messages", "replies"):
        database.execute(f"DELETE FROM {table} WHERE thread_id = ?", (thread_id,))


def _message(database: sqlite3.Connection, thread_id: str, message_id: str) -> Message:
    row = _one(database, "SELECT body FROM messages WHERE thread_id = ? AND id = ?", thread_id, message_id)
    if row is None:
        raise _not_found(thread_id, message_id)
    return Message.model_validate_json(row[0])


def _page(database: sqlite3.Connection, thread_id: str, query: MessagesQuery) -> MessagePage:
    after, before = (_place(database, thread_id, name, getattr(query, name)) for name in ("after", "before"))
    # With `before` alone, the page right in front of it: from there backwards, and turned round at the end.
    backwards = before is not None and after is None
    ascending = (query.order == "asc") is not backwards
    begin, end = (before, None) if backwards else (after, before)
    conditions, values = ["thread_id = ?"], [thread_id]
    for place, sign in ((begin, ">" if ascending else "<"), (end, "<" if ascending else ">")):
        if place is not None:
            conditions.append(f"place {sign} ?")
            values.append(place)
    if query.run_id is not None:
        conditions.append("run_id = ?")
        values.append(query.run_id)
    rows = database.execute(
        f"SELECT body FROM messages WHERE {' AND '.join(conditions)} "
        f"ORDER BY place {'ASC' if ascending else 'DESC'} LIMIT ?",
        (*values, query.limit + 1),
    ).fetchall()
    found = [Message.model_validate_json(row[0]) for row in rows[: query.limit]]
    if backwards:
        found.reverse()
    return MessagePage(
        data=found,
        first_id=found[0].id if found else None,
        last_id=found[-1].id if found else None,
        has_more=len(rows) > query.limit,
    )


def _place(database: sqlite3.Connection, thread_id: str, param: str, id: str | None) -> Any:
    if id is None:
        return None
    row = None
    try:
        row = _one(database, "SELECT place FROM messages WHERE thread_id = ? AND id = ?", thread_id, id)
    except UnicodeEncodeError:  # half a character: nothing has such an id
        pass
    if row is None:
        raise InvalidRequest(f"{param}: there is no object {id[:200]!a} in this listing.", param=param)
    return row[0]


def _one(database: sqlite3.Connection, sql: str, *values: str) -> Any:
    with closing(database.execute(sql, values)) as cursor:
        return cursor.fetchone()


def _not_found(thread_id: str, message_id: str) -> NotFound:
    message = f"There is no message {message_id!r} in the thread {thread_id!r}."
    return NotFound(message, param="message_id", code="message_not_found")


@hookimpl
def settings_model() -> type[BaseModel]:
    return Settings


@hookimpl
def provide_messages(settings: Any, jan: Any) -> Messages:
    return MessagesSqlite(settings, jan)
