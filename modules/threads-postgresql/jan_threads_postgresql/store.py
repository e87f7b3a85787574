"""The threads endpoint in PostgreSQL: a row a thread, and one for each label that it is found by."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_postgresql import Postgresql
from jan_postgresql.faults import AWAY
from jan_postgresql.replies import kept_reply, sweep
from jan_postgresql.texts import is_storable
from jan_postgresql.together import Together
from pydantic_core import to_json
from typing_extensions import override

from jan_core.endpoints.threads import Threads
from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound, Unavailable
from jan_core.folder.names import check_name
from jan_core.idempotency import Once, once
from jan_core.ids import new_thread_id, thread_time
from jan_core.schemas.settings import SettingsLayer
from jan_core.schemas.threads import (
    Thread,
    ThreadDeleted,
    ThreadPage,
    ThreadRequest,
    ThreadsQuery,
    ThreadUpdate,
)
from jan_threads_postgresql import statements
from jan_threads_postgresql.rows import (
    fields_changed,
    fields_of,
    labels_asked,
    labels_of,
    line,
    restoring,
    settings_in,
    threads_of,
)
from jan_threads_postgresql.statements import Place

if TYPE_CHECKING:
    from jan_postgresql.database import Connection

    from jan_core.app import Jan

log = logging.getLogger("jan")


class ThreadsPostgresql(Threads):
    """Threads in the table `jan.threads`.

    Args:
        jan: gives the database, and the messages that a new thread may have.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._database = jan.backend(Postgresql)
        self._database.needs("threads-postgresql", "jan_threads_postgresql")
        self._there = Together(self._are_there)

    @override
    async def create(self, body: ThreadRequest) -> Thread:
        first = body.assistants[0].assistant_id if body.assistants else "jan"
        check_name(first, param="assistants[0].assistant_id")
        if body.messages and "messages" not in self._jan.endpoints:
            raise InvalidRequest(
                "messages: no module is chosen that stores messages; choose one under [endpoints] of jan.toml.",
                param="messages",
            )
        asked = once("threads.create", body)
        if asked is not None:
            kept = await self._database.do(lambda connection: kept_reply(connection, asked))
            if kept is not None:
                return Thread.model_validate_json(kept)
        thread_id = new_thread_id(first)
        thread = Thread.of(body, id=thread_id, created_at=thread_time(thread_id) or 0)
        if not body.messages:
            return await self._add(thread, asked, statements.ADD, thread.created_at, fields_of(thread))
        await self._change(statements.BEGIN, thread.id, thread.created_at, fields_of(thread))
        try:
            await self._jan.messages.start(thread.id, body.messages)
            made = await self._add(thread, asked, statements.FINISH)
        except BaseException:
            await self._break_off(thread.id)
            raise
        if made.id != thread.id:
            await self._break_off(thread.id)
        return made

    @override
    async def list(self, query: ThreadsQuery) -> ThreadPage:
        labels = labels_asked(query)

        async def look(connection: Connection) -> ThreadPage:
            after = await _place(connection, "after", query.after)
            before = await _place(connection, "before", query.before)
            # With `before` alone, the page right in front of it: from there backwards, and turned round at the end.
            backwards = before is not None and after is None
            ascending = (query.order == "asc") is not backwards
            begin, end = (before, None) if backwards else (after, before)
            listed = statements.listing(labels, begin, end, ascending=ascending, limit=query.limit)
            rows = await (await connection.execute(*listed)).fetchall()
            found = threads_of(rows[: query.limit])
            more, far = len(rows) > query.limit, found[-1].id if found else None
            if len(labels) > 1 and not more:
                looked = statements.last_looked_at(labels[0], begin, end, ascending=ascending)
                last = await (await connection.execute(*looked)).fetchone()
                if last is not None:
                    more, far = True, str(last[1])
            near = found[0].id if found else far
            if backwards:
                found.reverse()
                near, far = far, near
            return ThreadPage(data=found, first_id=near, last_id=far, has_more=more)

        return await self._database.do(look)

    @override
    async def retrieve(self, thread_id: str) -> Thread:
        return threads_of([await self._find(thread_id)])[0]

    @override
    async def update(self, thread_id: str, body: ThreadUpdate) -> Thread:
        check_name(thread_id, param="thread_id")

        async def change(connection: Connection) -> Thread:
            async with connection.transaction():
                row = await _row(connection, statements.FIND_TO_CHANGE, thread_id)
                (thread,) = threads_of([row])
                changed = thread.changed(body)
                # Written and read, so that the answer is what is stored.
                changed = Thread.model_validate_json(changed.model_dump_json())
                fields = fields_changed(row[2], changed, body.model_fields_set)
                await connection.execute(statements.CHANGE, [fields, thread_id])
                if labels_of(changed) != labels_of(thread):
                    await _label(connection, changed)
                return changed

        return await self._database.do(change)

    @override
    async def delete(self, thread_id: str) -> ThreadDeleted:
        check_name(thread_id, param="thread_id")
        begun = 0

        async def hide(connection: Connection) -> None:
            nonlocal begun
            begun += 1
            async with connection.transaction():
                if (await connection.execute(statements.DELETE, [thread_id])).rowcount == 0:
                    if begun > 1:
                        raise Unavailable("The database broke off, and the thread is gone by now.", code=AWAY)
                    raise _not_found(thread_id)
                await connection.execute(statements.REMOVE_LABELS, [thread_id])

        await self._database.do(hide)
        return ThreadDeleted(id=thread_id, deleted=True)

    @override
    async def check(self, thread_id: str) -> None:
        check_name(thread_id, param="thread_id")

        if not await self._there.one(thread_id):
            raise _not_found(thread_id)

    @override
    async def put(self, thread: Thread) -> None:
        check_name(thread.id, param="thread_id")
        values = [thread.id, thread.created_at, fields_of(thread)]

        async def store(connection: Connection) -> None:
            async with connection.transaction():
                if (await connection.execute(statements.PUT, values)).rowcount == 0:
                    raise Conflict(f"The thread {thread.id!r} is being deleted; try again when that is done.")
                await _label(connection, thread)

        await self._database.do(store)

    @override
    async def layers(self, thread_id: str) -> Sequence[SettingsLayer]:
        values = settings_in((await self._find(thread_id))[2])
        return [SettingsLayer(origin=f"PostgreSQL, jan.threads, {thread_id}", values=values)] if values else []

    @override
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        asked = [id for id in ids if is_storable(id)]

        async def look(connection: Connection) -> dict[str, bytes]:
            rows = await (await connection.execute(statements.EXPORT, [asked])).fetchall()
            return {row[0]: line(*row) for row in rows}

        found = await self._database.do(look)
        return [found[id] for id in asked if id in found]

    @override
    async def restore(self, lines: Sequence[bytes]) -> None:
        given = restoring(lines)
        ids = [thread.id for thread, _ in given]
        rows = [{"id": one.id, "created_at": one.created_at, "fields": fields} for one, fields in given]
        labels = [(label, one.created_at, one.id) for one, _ in given for label in labels_of(one)]

        async def store(connection: Connection) -> None:
            async with connection.transaction():
                if (await connection.execute(statements.RESTORE, [to_json(rows).decode()])).rowcount < len(ids):
                    raise Conflict("One of these threads is being deleted; try again when that is done.")
                await connection.execute(statements.REMOVE_LABELS_OF, [ids])
                if labels:
                    await connection.execute(statements.ADD_LABELS_OF, [list(one) for one in zip(*labels, strict=True)])

        if given:
            await self._database.do(store)

    @override
    async def deleted(self) -> Sequence[str]:
        async def look(connection: Connection) -> list[str]:
            return [row[0] for row in await (await connection.execute(statements.DELETED)).fetchall()]

        return await self._database.do(look)

    @override
    async def forget(self, thread_id: str) -> None:
        if is_storable(thread_id):
            await self._change(statements.FORGET, thread_id)

    async def _find(self, thread_id: str) -> Sequence[Any]:
        """The row of a thread, as `COLUMNS`."""
        check_name(thread_id, param="thread_id")

        async def look(connection: Connection) -> Sequence[Any]:
            return await _row(connection, statements.FIND, thread_id)

        return await self._database.do(look)

    async def _are_there(self, thread_ids: Sequence[str]) -> Sequence[bool]:
        async def look(connection: Connection) -> set[str]:
            cursor = await connection.execute(statements.CHECK, [[*{*thread_ids}]])
            return {row[0] for row in await cursor.fetchall()}

        found = await self._database.do(look)
        return [thread_id in found for thread_id in thread_ids]

    async def _add(self, thread: Thread, asked: Once | None, statement: str, *values: object) -> Thread:
        """Have a thread seen, and keep the reply under its key; or return the reply that another request kept."""
        begun = 0
        values = (thread.id, *values, labels_of(thread))

        async def make(connection: Connection) -> None:
            cursor = await connection.execute(statement, values)
            if not await cursor.fetchall() and begun == 1:
                raise Unavailable("Storing the first messages took too long; try again.")

        async def add(connection: Connection) -> Thread:
            nonlocal begun
            begun += 1
            if asked is None:
                await make(connection)
                return thread
            noted = [asked.key, "", asked.fingerprint, thread.model_dump_json()]
            async with connection.transaction():
                if (await connection.execute(statements.KEEP_REPLY, noted)).rowcount == 0:
                    kept = await kept_reply(connection, asked)
                    if kept is None:
                        raise Unavailable("The reply under this Idempotency-Key was just forgotten; try again.")
                    return Thread.model_validate_json(kept)
                await make(connection)
            await sweep(connection)
            return thread

        return await self._database.do(add)

    async def _change(self, statement: str, *values: object) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(statement, values)

        await self._database.do(work)

    async def _break_off(self, thread_id: str) -> None:
        """Leave what was stored of a thread that is not made to those who finish deletions."""
        try:
            await self._change(statements.BREAK_OFF, thread_id)
        except JanError as error:
            log.warning("the thread %s was not made; what there is of it goes in an hour: %s", thread_id, error.message)


async def _label(connection: Connection, thread: Thread) -> None:
    await connection.execute(statements.REMOVE_LABELS, [thread.id])
    labels = labels_of(thread)
    if labels:
        await connection.execute(statements.ADD_LABELS, [labels, thread.created_at, thread.id])


async def _row(connection: Connection, statement: str, thread_id: str) -> Sequence[Any]:
    row = await (await connection.execute(statement, [thread_id])).fetchone()
    if row is None:
        raise _not_found(thread_id)
    return row


async def _place(connection: Connection, param: str, id: str | None) -> Place | None:
    if id is None:
        return None
    row = None
    if is_storable(id):
        row = await (await connection.execute(statements.PLACE, [id])).fetchone()
    if row is None:
        raise InvalidRequest(f"{param}: there is no object {id[:200]!a} in this listing.", param=param)
    return int(row[0]), id


def _not_found(thread_id: str) -> NotFound:
    return NotFound(f"There is no thread {thread_id!r}.", param="thread_id", code="thread_not_found")
