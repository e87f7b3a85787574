"""What a request locks in the database, listed by its statement; none locks more when there is more to look through."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest
from jan_messages_postgresql import statements as messages
from jan_messages_postgresql.rows import values_of
from jan_postgresql.migrations import OWN, migrate, migrations_of
from jan_postgresql.testing import dsn_for
from jan_threads_postgresql import statements as threads

from jan_core.schemas.messages import Message, MessagesQuery

NEW = Message(id="msg_new", thread_id="t", created_at=1, role="user", content=[])
THREADS = ["threads_pkey", "threads_by_time", "threads_deleted"]
MESSAGES = ["messages_pkey", "messages_by_id", "messages_by_run"]


def read(table: str, indexes: list[str]) -> list[tuple[str, str]]:
    """What looking at a table takes: it may not be altered meanwhile, and nobody waits who reads or writes."""
    return sorted((one, "AccessShareLock") for one in [table, *indexes])


def written(table: str, indexes: list[str], *others: tuple[str, str]) -> list[tuple[str, str]]:
    return sorted([*((one, "RowExclusiveLock") for one in [table, *indexes]), *others])


LISTING = messages.listing("t", MessagesQuery(), None, None)
ADDED: list[Any] = ["t", *values_of(NEW), "t"]
ALONE = ("advisory", "ExclusiveLock")
"""The lock of one thread: its messages are added one after another."""
PLACES = ("message_places", "RowExclusiveLock")
COSTS: list[tuple[str, str, list[Any], list[tuple[str, str]]]] = [
    ("is the thread there", threads.CHECK, [["t"]], read("threads", THREADS)),
    ("threads", *threads.listing([], None, None, ascending=False, limit=20), read("threads", THREADS)),
    ("append", messages.ADD, ADDED, written("messages", MESSAGES, ALONE, PLACES)),
    ("newest messages", LISTING[0], LISTING[1], read("messages", MESSAGES)),
    ("one message", messages.FIND, ["t", "msg_1"], read("messages", MESSAGES)),
    ("export", messages.EXPORT, ["t", 0, 20], read("messages", MESSAGES)),
    ("delete", messages.REMOVE, ["t", "msg_1"], written("messages", MESSAGES)),
]
HELD = """SELECT coalesce(relname::text, locktype), mode FROM pg_locks LEFT JOIN pg_class ON pg_class.oid = relation
    WHERE pid = pg_backend_pid() AND locktype NOT IN ('virtualxid', 'transactionid')
    AND coalesce(relnamespace, 'jan'::regnamespace) = 'jan'::regnamespace"""


@pytest.mark.parametrize("many", [1, 3000])
def test_the_locks_of_each_statement(tmp_path: Path, many: int) -> None:
    dsn = dsn_for(tmp_path)

    async def make() -> None:
        owners = [("jan-postgresql", OWN), ("threads-postgresql", "jan_threads_postgresql")]
        owners.append(("messages-postgresql", "jan_messages_postgresql"))
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await migrate(connection, [one for owner in owners for one in migrations_of(*owner)])

    asyncio.run(make())
    told = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            """INSERT INTO jan.messages (thread_id, place, id, created_at, role, status, content, metadata)
            SELECT 't', nextval('jan.message_places'), 'msg_' || n, n, 'user', 'completed', '[]', '{}'
            FROM generate_series(1, %s) AS n""",
            [many],
        )
        connection.execute(
            """INSERT INTO jan.threads (id, created_at, fields)
            SELECT 't' || n, n, '{}' FROM generate_series(1, %s) AS n""",
            [many],
        )
        connection.execute("ANALYZE")
        for what, statement, values, _ in COSTS:
            with connection.transaction(force_rollback=True):
                connection.execute(statement.encode(), values)
                told.append((what, sorted(map(tuple, connection.execute(HELD).fetchall()))))
    assert told == [(what, locks) for what, _, _, locks in COSTS]
