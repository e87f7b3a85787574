"""Where runs are kept in PostgreSQL: a row a run, which any server may change, and one at a time carries on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jan_postgresql import Postgresql
from jan_postgresql.replies import KEEP, kept_reply, sweep
from jan_postgresql.texts import is_storable
from jan_postgresql.together import Together
from jan_runs.store import RunStore
from pydantic_core import to_json
from typing_extensions import override

from jan_core.errors import InvalidRequest, Unavailable
from jan_core.folder.names import check_name
from jan_core.folder.turns import Turns
from jan_core.schemas.runs import KeptRun, Run, RunPage
from jan_runs_postgresql import statements
from jan_runs_postgresql.change import Change
from jan_runs_postgresql.claims import Claims
from jan_runs_postgresql.followers import FOLLOW, Followers
from jan_runs_postgresql.rows import Texts, kept_of, line, restoring, run_of, texts_of
from jan_runs_postgresql.statements import CANCEL, SAID
from jan_runs_postgresql.wishes import Wishes

if TYPE_CHECKING:
    from types import TracebackType

    from jan_postgresql.database import Connection

    from jan_core.app import Jan
    from jan_core.idempotency import Once
    from jan_core.schemas.runs import RunsQuery

TRIES = 10
"""How often a run is begun, at most, where the one that was in the way has always just ended."""


class RunsPostgresql(RunStore):
    """Runs in the table `jan.runs`. It is used from one event loop.

    Args:
        jan: gives the database.
    """

    left_seconds: ClassVar[float | None] = 1.0

    def __init__(self, jan: Jan) -> None:
        self._database = jan.backend(Postgresql)
        self._database.needs("runs-postgresql", "jan_runs_postgresql")
        self._turns = Turns()
        self._begin_again()

    def _begin_again(self) -> None:
        self._claims = Claims(self._database)
        self._wishes = Wishes(self._database)
        self._followers = Followers(self._database)
        self._listens = False
        self._going_on = Together(self._are_going_on)

    @override
    async def __aenter__(self) -> Self:
        self._begin_again()  # an app may be entered again, in another event loop
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.listening.off(self._hear)
        await self._wishes.close()
        await self._claims.close()

    @override
    async def begin(self, kept: KeptRun, asked: Once | None) -> KeptRun:
        run = kept.run
        ids = _checked(run.thread_id, run.id)
        worker = await self._claims.ready()
        values = _values_of(kept, None if asked is None else asked.key)
        tried = 0
        from jan_runs_postgresql import jobs

        async def add(connection: Connection) -> None:
            nonlocal tried
            for _ in range(TRIES):
                tried += 1
                if (await connection.execute(statements.BEGIN, values)).rowcount == 1:
                    await jobs.take(connection, worker, ids)
                    return
                row = await (await connection.execute(statements.ACTIVE, [[run.thread_id]])).fetchone()
                if row is None:
                    continue
                active = run_of(row[1])
                if active is not None and active.id == run.id and tried > 1:
                    return  # it was committed, and the answer was lost
                which = "" if active is None else f", {active.id!r}"
                raise InvalidRequest(
                    f"The thread {run.thread_id!r} has a run that has not ended{which}: wait for its end, or "
                    "cancel it.",
                    param="thread_id",
                    code="run_active",
                )
            raise Unavailable("Other runs of this thread come and go all the time; try again.")

        async def begin(connection: Connection) -> KeptRun:
            if asked is None:
                async with connection.transaction():
                    await add(connection)
                return kept
            noted = [asked.key, run.thread_id, asked.fingerprint, run.model_dump_json()]
            async with connection.transaction():
                if (await connection.execute(KEEP, noted)).rowcount == 0:
                    first = await _first(connection, asked)
                    if first is None:
                        raise Unavailable("The reply under this Idempotency-Key was just forgotten; try again.")
                    return first
                await add(connection)
            await sweep(connection)
            return kept

        begun = await self._database.do(begin)
        if begun is kept:
            self._claims.reserve(ids, worker)
        return begun

    @override
    async def begun(self, asked: Once) -> KeptRun | None:
        return await self._database.do(lambda connection: _first(connection, asked))

    @override
    async def read(self, thread_id: str, run_id: str) -> KeptRun | None:
        ids = _checked(thread_id, run_id)

        async def look(connection: Connection) -> KeptRun | None:
            row = await (await connection.execute(statements.FIND, ids)).fetchone()
            return None if row is None else kept_of(row)

        return await self._database.do(look)

    @asynccontextmanager
    async def _changing(self, thread_id: str, run_id: str, flush: bool) -> AsyncIterator[KeptRun]:
        ids = _checked(thread_id, run_id)
        async with self._turns.of("/".join(ids)):
            worker, say = partial(self._claims.worker_of, ids), partial(self._to_say, ids)
            change = Change(*ids, flush=flush, worker=worker, say=say)
            task = asyncio.create_task(self._database.do(change.work))
            waiting: list[asyncio.Future[Any]] = [task, change.found]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                if not change.found.done():
                    task.result()
                kept = change.found.result()
                yield kept
            except BaseException:
                change.found.cancel()
                change.edited.set_result(None)
                await _to_end(task, quietly=True)
                raise
            change.edited.set_result(kept)
            await _to_end(task)
            if kept.run.status == "cancelling":
                self._wishes.tell(ids)

    @override
    def changing(self, thread_id: str, run_id: str, *, flush: bool = True) -> AbstractAsyncContextManager[KeptRun]:
        return self._changing(thread_id, run_id, flush)

    @override
    async def page(self, thread_id: str, query: RunsQuery) -> RunPage:
        check_name(thread_id, param="thread_id")

        async def look(connection: Connection) -> RunPage:
            after = await _place(connection, thread_id, "after", query.after)
            before = await _place(connection, thread_id, "before", query.before)
            statement, values, backwards = statements.listing(thread_id, query, after, before)
            rows = await (await connection.execute(statement, values)).fetchall()
            found: list[Run] = [run for run in (run_of(row[0]) for row in rows[: query.limit]) if run is not None]
            if backwards:
                found.reverse()
            return RunPage(
                data=found,
                first_id=found[0].id if found else None,
                last_id=found[-1].id if found else None,
                has_more=len(rows) > query.limit,
            )

        return await self._database.do(look)

    @override
    async def active(self, thread_id: str) -> KeptRun | None:
        return await self._going_on.one(check_name(thread_id, param="thread_id"))

    @override
    def hold(self, thread_id: str, run_id: str) -> AbstractAsyncContextManager[bool]:
        return self._claims.hold(_checked(thread_id, run_id))

    @override
    async def left(self) -> Sequence[tuple[str, str]]:
        async def look(connection: Connection) -> list[tuple[str, str]]:
            return [(row[0], row[1]) for row in await (await connection.execute(statements.LEFT)).fetchall()]

        return await self._database.do(look)

    @override
    async def wished(self, thread_id: str, run_id: str) -> None:
        self._listen()
        await self._wishes.of(_checked(thread_id, run_id))

    @override
    def is_followed(self, thread_id: str, run_id: str) -> bool:
        return self._followers.are_there((thread_id, run_id))

    @override
    def following(self, thread_id: str, run_id: str) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        self._listen()
        return self._followers.following(_checked(thread_id, run_id))

    def _listen(self) -> None:
        if not self._listens:
            self._listens = True
            self._database.listening.on(self._hear)

    def _hear(self, said: str | None) -> None:
        """Another server has said something, or this one has; or, for None, something may have been missed."""
        if said is None:
            self._wishes.look()
            self._followers.tell(None)
            return
        word, _, which = said.partition(" ")
        thread_id, _, run_id = which.partition("/")
        ids = (thread_id, run_id)
        if word == FOLLOW:
            self._followers.followed(ids)
        elif word in (CANCEL, SAID):
            self._followers.tell(ids)
            if word == CANCEL:
                self._wishes.tell(ids)

    def _to_say(self, ids: tuple[str, str], after: KeptRun) -> str | None:
        if after.run.status == "cancelling":
            return f"{CANCEL} {'/'.join(ids)}"
        return f"{SAID} {'/'.join(ids)}" if self._followers.are_there(ids) else None

    @override
    async def put(self, kept: KeptRun) -> None:
        _checked(kept.run.thread_id, kept.run.id)
        values = _values_of(kept, None)

        async def store(connection: Connection) -> None:
            await connection.execute(statements.PUT, values)

        await self._database.do(store)

    @override
    async def export(self, thread_id: str, ids: Sequence[str]) -> Sequence[bytes]:
        check_name(thread_id, param="thread_id")
        asked = [id for id in ids if is_storable(id)]

        async def look(connection: Connection) -> dict[str, bytes | None]:
            rows = await (await connection.execute(statements.EXPORT, [thread_id, asked])).fetchall()
            return {row[0]: line(row[1:]) for row in rows}

        found = await self._database.do(look)
        return [one for id in asked if (one := found.get(id)) is not None]

    @override
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        given = restoring(check_name(thread_id, param="thread_id"), lines)
        ids = [kept.run.id for kept, _ in given]
        rows = [_row(kept.run, texts) for kept, texts in given]

        async def store(connection: Connection) -> None:
            async with connection.transaction():
                found = await connection.execute(statements.EXPORT, [thread_id, ids])
                for row in await found.fetchall():
                    kept_of(row[1:])  # nothing is written over what somebody has to mend
                await connection.execute(statements.RESTORE, [thread_id, to_json(rows).decode()])

        if rows:
            await self._database.do(store)

    @override
    async def withdraw(self, thread_id: str, run_id: str) -> None:
        ids = _checked(thread_id, run_id)
        await self._remove(statements.REMOVE, ids)
        self._claims.forget(ids)
        self._wishes.tell(ids)

    @override
    async def clear(self, thread_id: str) -> None:
        await self._remove(statements.REMOVE_ALL, [check_name(thread_id, param="thread_id")])
        self._wishes.tell_thread(thread_id)

    async def _remove(self, statement: str, values: Sequence[str]) -> None:
        async def work(connection: Connection) -> None:
            async with connection.transaction():
                rows = await (await connection.execute(statement, values)).fetchall()
                keys = [row[0] for row in rows if row[0] is not None]
                if keys:
                    await connection.execute(statements.FORGET_REPLIES, [keys])

        await self._database.do(work)

    async def _are_going_on(self, thread_ids: Sequence[str]) -> Sequence[KeptRun | None]:
        async def look(connection: Connection) -> dict[str, Sequence[Any]]:
            cursor = await connection.execute(statements.ACTIVE, [[*{*thread_ids}]])
            return {row[0]: row[1:] for row in await cursor.fetchall()}

        found = await self._database.do(look)
        return [_active(found.get(thread_id)) for thread_id in thread_ids]


def _active(row: Sequence[Any] | None) -> KeptRun | None:
    if row is None:
        return None
    try:
        return kept_of(row)
    except InvalidRequest:
        return None  # a damaged one costs itself alone


def _checked(thread_id: str, run_id: str) -> tuple[str, str]:
    return check_name(thread_id, param="thread_id"), check_name(run_id, param="run_id")


def _row(run: Run, texts: Texts) -> dict[str, Any]:
    """What `statements.RESTORE` is given of a run."""
    found = {name: getattr(run, name) for name in ("id", "created_at", "expires_at", "status")}
    return found | dict(zip(("run", "steps", "request"), texts, strict=True))


def _values_of(kept: KeptRun, key: str | None) -> list[Any]:
    run = kept.run
    row = [run.thread_id, run.id, run.created_at, run.expires_at, run.status, not run.ended, key]
    return [*row, *texts_of(kept)]


async def _first(connection: Connection, asked: Once) -> KeptRun | None:
    """What was kept under a key."""
    reply = await kept_reply(connection, asked)
    return None if reply is None else KeptRun(run=Run.model_validate_json(reply))


async def _place(connection: Connection, thread_id: str, param: str, id: str | None) -> statements.Place | None:
    if id is None:
        return None
    row = None
    if is_storable(id):
        row = await (await connection.execute(statements.PLACE, [thread_id, id])).fetchone()
    if row is None:
        raise InvalidRequest(f"{param}: there is no object {id[:200]!a} in this listing.", param=param)
    return int(row[0]), id


async def _to_end(task: asyncio.Task[None], *, quietly: bool = False) -> None:
    """Return when a change is done. Who is cancelled meanwhile waits for its end, and is cancelled then."""
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    raised = task.exception()
    if cancelled is not None:
        raise cancelled
    if raised is not None and not quietly:
        raise raised
