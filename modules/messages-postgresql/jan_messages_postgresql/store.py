"""The messages endpoint in PostgreSQL: a row a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_postgresql import Postgresql
from jan_postgresql.faults import AWAY
from jan_postgresql.replies import kept_reply, sweep
from jan_postgresql.texts import as_json, is_storable
from jan_postgresql.together import Together
from psycopg.errors import UniqueViolation
from typing_extensions import override

from jan_core.endpoints.messages import Messages
from jan_core.errors import Conflict, InvalidRequest, NotFound, Unavailable
from jan_core.folder.names import check_name
from jan_core.idempotency import once
from jan_core.ids import new_id, now
from jan_core.schemas.messages import (
    Message,
    MessageDeleted,
    MessagePage,
    MessageRequest,
    MessagesQuery,
    MessageUpdate,
)
from jan_messages_postgresql import statements
from jan_messages_postgresql.lines import lines_of, restoring
from jan_messages_postgresql.rows import messages_of, values_of

if TYPE_CHECKING:
    from jan_postgresql.database import Connection

    from jan_core.app import Jan

SOME = 5000
"""Messages that one statement removes, at most, when a thread is cleared."""


class MessagesPostgresql(Messages):
    """Messages in the table `jan.messages`.

    Args:
        jan: gives the threads, and the database.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._database = jan.backend(Postgresql)
        self._database.needs("messages-postgresql", "jan_messages_postgresql")
        self._adding = Together(self._add)

    @override
    async def create(self, thread_id: str, body: MessageRequest) -> Message:
        await self._jan.threads.check(thread_id)
        asked = once("messages.create", body, thread_id)
        message = Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=now())
        values = [thread_id, *values_of(message), thread_id]

        if asked is None:
            await self._adding.one(values)
            return message

        async def add(connection: Connection) -> Message:
            noted = [asked.key, thread_id, asked.fingerprint, message.model_dump_json()]
            if (await connection.execute(statements.ADD_ONCE, [*noted, *values])).rowcount == 1:
                await sweep(connection)
                return message
            reply = await kept_reply(connection, asked)
            if reply is None:
                raise Unavailable("The reply under this Idempotency-Key was just forgotten; try again.")
            return Message.model_validate_json(reply)

        return await self._database.do(add)

    @override
    async def repeated(self, thread_id: str, body: MessageRequest) -> Message | None:
        await self._jan.threads.check(thread_id)
        asked = once("messages.create", body, thread_id)
        if asked is None:
            return None
        reply = await self._database.do(lambda connection: kept_reply(connection, asked))
        return None if reply is None else Message.model_validate_json(reply)

    @override
    async def list(self, thread_id: str, query: MessagesQuery) -> MessagePage:
        await self._jan.threads.check(thread_id)
        if query.run_id is not None and not is_storable(query.run_id):
            query = query.model_copy(update={"run_id": ""})  # nothing has such a run

        async def look(connection: Connection) -> MessagePage:
            after = await _place(connection, thread_id, "after", query.after)
            before = await _place(connection, thread_id, "before", query.before)
            statement, values, backwards = statements.listing(thread_id, query, after, before)
            rows = await (await connection.execute(statement, values)).fetchall()
            found = messages_of(thread_id, rows[: query.limit])
            if backwards:
                found.reverse()
            return MessagePage(
                data=found,
                first_id=found[0].id if found else None,
                last_id=found[-1].id if found else None,
                has_more=len(rows) > query.limit,
            )

        return await self._database.do(look)

    @override
    async def retrieve(self, thread_id: str, message_id: str) -> Message:
        return await self._one(thread_id, message_id, statements.FIND, [])

    @override
    async def update(self, thread_id: str, message_id: str, body: MessageUpdate) -> Message:
        if "metadata" not in body.model_fields_set:
            return await self.retrieve(thread_id, message_id)
        return await self._one(thread_id, message_id, statements.CHANGE, [as_json(body.metadata or {})])

    @override
    async def delete(self, thread_id: str, message_id: str) -> MessageDeleted:
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")
        begun = 0

        async def remove(connection: Connection) -> None:
            nonlocal begun
            begun += 1
            if (await connection.execute(statements.REMOVE, [thread_id, message_id])).rowcount == 0:
                if begun > 1:
                    raise Unavailable("The database broke off, and the message is gone by now.", code=AWAY)
                raise _not_found(thread_id, message_id)

        await self._database.do(remove)
        return MessageDeleted(id=message_id, deleted=True)

    @override
    async def start(self, thread_id: str, bodies: Sequence[MessageRequest]) -> Sequence[Message]:
        at = now()
        messages = [Message.of(body, id=new_id("msg_"), thread_id=thread_id, created_at=at) for body in bodies]
        columns = [list(column) for column in zip(*map(values_of, messages), strict=True)]

        async def replace(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(statements.LOCK, [thread_id])
                await connection.execute(statements.REMOVE_ALL, [thread_id])
                if columns:
                    await connection.execute(statements.ADD_MANY, [thread_id, *columns])

        await self._database.do(replace)
        return messages

    @override
    async def put(self, message: Message) -> None:
        thread_id = check_name(message.thread_id, param="thread_id")
        check_name(message.id, param="message_id")
        values = [thread_id, *values_of(message), thread_id]

        async def store(connection: Connection) -> None:
            await connection.execute(statements.PUT, values)

        await self._database.do(store)

    @override
    async def export(self, thread_id: str, after: str | None, limit: int) -> Sequence[bytes]:
        if not is_storable(thread_id):
            return []

        async def look(connection: Connection) -> Sequence[Any]:
            place = await _place(connection, thread_id, "after", after) or 0
            return await (await connection.execute(statements.EXPORT, [thread_id, place, limit])).fetchall()

        return lines_of(await self._database.do(look))

    @override
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        check_name(thread_id, param="thread_id")
        if not lines:
            return
        rows, ids = restoring(thread_id, lines)
        begun = 0

        async def add(connection: Connection) -> None:
            nonlocal begun
            begun += 1
            try:
                async with connection.transaction():
                    await connection.execute(statements.LOCK, [thread_id])
                    async with connection.cursor().copy(statements.RESTORE) as copy:
                        await copy.write(rows)
            except UniqueViolation:
                # Begun anew after the connection was lost, it may find that all of it was stored.
                if begun > 1:
                    row = await (await connection.execute(statements.IDS, [thread_id, ids])).fetchone()
                    if row is not None and row[0] == len(ids):
                        return
                raise Conflict(f"A message of such an id is in the thread {thread_id!r} already.") from None

        await self._database.do(add)

    @override
    async def clear(self, thread_id: str) -> None:
        if not is_storable(thread_id):
            return

        async def remove(connection: Connection) -> int:
            return (await connection.execute(statements.REMOVE_SOME, [thread_id, thread_id, SOME])).rowcount

        async def forget(connection: Connection) -> None:
            await connection.execute(statements.FORGET_REPLIES, [thread_id])

        # A statement that removed a million rows would take longer than any request may.
        while await self._database.do(remove) == SOME:
            pass
        await self._database.do(forget)

    async def _add(self, some: Sequence[Sequence[Any]]) -> Sequence[None]:
        """Add messages, each the values of `statements.ADD`, all in one transaction."""

        async def add(connection: Connection) -> None:
            if len(some) == 1:
                await connection.execute(statements.ADD, some[0])
                return
            threads, *columns, _ = ([*column] for column in zip(*some, strict=True))
            await connection.execute(statements.ADD_SOME, [threads, *columns, threads])

        await self._database.do(add)
        return [None] * len(some)

    async def _one(self, thread_id: str, message_id: str, statement: str, values: Sequence[Any]) -> Message:
        """The one row that a statement gives."""
        await self._jan.threads.check(thread_id)
        check_name(message_id, param="message_id")

        async def work(connection: Connection) -> Message:
            row = await (await connection.execute(statement, [*values, thread_id, message_id])).fetchone()
            if row is None:
                raise _not_found(thread_id, message_id)
            return messages_of(thread_id, [row])[0]

        return await self._database.do(work)


async def _place(connection: Connection, thread_id: str, param: str, id: str | None) -> int | None:
    if id is None:
        return None
    row = None
    if is_storable(id):
        row = await (await connection.execute(statements.PLACE, [thread_id, id])).fetchone()
    if row is None:
        raise InvalidRequest(f"{param}: there is no object {id[:200]!a} in this listing.", param=param)
    return int(row[0])


def _not_found(thread_id: str, message_id: str) -> NotFound:
    return NotFound(
        f"There is no message {message_id!r} in the thread {thread_id!r}.", param="message_id", code="message_not_found"
    )
