from __future__ import annotations

import asyncio
import itertools
from typing import Any

import psycopg
import pytest
from jan_messages_postgresql import statements
from jan_postgresql.testing import dsn_for, plan_of

from jan_core.schemas.messages import MessagesQuery

MANY = 30_000
THREAD, OTHERS = "jan-1", 20
FILL = """INSERT INTO jan.messages (thread_id, place, id, created_at, role, status, run_id, content, metadata)
    SELECT 'jan-' || CASE WHEN n %% 3 = 0 THEN n %% %s ELSE 1 END, n, 'msg_' || n, 0, 'user', 'completed',
        CASE WHEN n %% 10 = 1 THEN 'run_' || n %% 3 END, '[]', '{}' FROM generate_series(1, %s) AS n"""


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One long thread among others."""
    found = dsn_for(tmp_path_factory.mktemp("many"))
    from jan_postgresql.migrations import OWN, migrate, migrations_of

    async def make() -> None:
        wanted = [
            *migrations_of("jan-postgresql", OWN),
            *migrations_of("messages-postgresql", "jan_messages_postgresql"),
        ]
        async with await psycopg.AsyncConnection.connect(found, autocommit=True) as connection:
            await migrate(connection, wanted)

    asyncio.run(make())
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(FILL, [OTHERS, MANY])
        connection.execute("SELECT setval('jan.message_places', %s)", [MANY])
        connection.execute("ANALYZE jan.messages")
    return found


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(("after", "before"), [*itertools.product([None, 9001], [None, 21001])])
@pytest.mark.parametrize("run_id", [None, "run_1"])
def test_each_listing_goes_through_an_index_and_looks_at_its_page_only(
    dsn: str, order: Any, after: int | None, before: int | None, run_id: str | None
) -> None:
    query = MessagesQuery(order=order, limit=20, run_id=run_id)
    if after is not None and before is not None and order == "desc":
        after, before = before, after
    statement, values, _ = statements.listing(THREAD, query, after, before)
    indexes, rows = plan_of(dsn, statement, values)
    assert indexes == {"messages_pkey" if run_id is None else "messages_by_run"}
    assert 0 < rows <= 21


@pytest.mark.parametrize("statement", [statements.FIND, statements.PLACE, statements.REMOVE])
def test_one_message_is_found_through_an_index(dsn: str, statement: str) -> None:
    indexes, rows = plan_of(dsn, statement, [THREAD, "msg_7001"])
    assert len(indexes) == 1
    assert indexes < {"messages_by_id", "messages_pkey"}
    assert rows == 1


def test_adding_one_looks_at_no_other(dsn: str) -> None:
    values = ["msg_new", 0, 0, None, "user", "completed", None, None, "[]", "[]", None, "{}"]
    indexes, rows = plan_of(dsn, statements.ADD, [THREAD, *values, THREAD])
    assert (indexes, rows) == (set(), 1)


def test_clearing_goes_bit_by_bit(dsn: str) -> None:
    indexes, rows = plan_of(dsn, statements.REMOVE_SOME, ["jan-2", "jan-2", 100])
    assert "table messages" not in indexes
    assert rows <= 200


def test_adding_several_looks_at_no_other(dsn: str) -> None:
    one = [0, 0, None, "user", "completed", None, None, "[]", "[]", None, "{}"]
    threads = ["jan-1", "jan-2", "jan-1"]
    columns = [[f"msg_several_{number}" for number in range(3)], *([value] * 3 for value in one)]
    indexes, rows = plan_of(dsn, statements.ADD_SOME, [threads, *columns, threads])
    assert indexes <= {"sort"}
    assert rows <= 20
    with psycopg.connect(dsn) as connection:
        query = "SELECT id FROM jan.messages WHERE id LIKE 'msg\\_several%' ORDER BY place"
        assert [row[0] for row in connection.execute(query).fetchall()] == columns[0]
