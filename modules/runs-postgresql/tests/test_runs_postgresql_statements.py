from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any

import psycopg
import pytest
from jan_postgresql.testing import dsn_for, plan_of
from jan_runs_postgresql import jobs, statements
from procrastinate.sql import queries
from pydantic_core import to_json

from jan_core.schemas.runs import RunsQuery

MANY = 30_000
THREAD, OTHERS = "jan-1", 3000
FILL = """INSERT INTO jan.runs (thread_id, id, created_at, status, goes_on, run, steps, request)
    SELECT 'jan-' || CASE WHEN n %% 3 = 0 THEN n %% %s ELSE 1 END, 'run_' || n, n,
        CASE WHEN n %% 3 = 0 AND n > %s THEN 'requires_action' ELSE 'completed' END, n %% 3 = 0 AND n > %s,
        '{}', '[]', '{}'
    FROM generate_series(1, %s) AS n"""


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One thread with many runs among others, of which a thousand have one that waits."""
    found = dsn_for(tmp_path_factory.mktemp("many"))
    from jan_postgresql.migrations import OWN, migrate, migrations_of

    async def make() -> None:
        wanted = [*migrations_of("jan-postgresql", OWN), *migrations_of("runs-postgresql", "jan_runs_postgresql")]
        async with await psycopg.AsyncConnection.connect(found, autocommit=True) as connection:
            await migrate(connection, wanted)

    asyncio.run(make())
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(FILL, [OTHERS, MANY - OTHERS, MANY - OTHERS, MANY])
        connection.execute("INSERT INTO jan.procrastinate_workers SELECT FROM generate_series(1, 1000)")
        connection.execute(
            """INSERT INTO jan.procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)
            SELECT 'q' || n, 'carry_on', 'jan-' || n || '/run_' || n, '{}', 'doing', 1
            FROM generate_series(1, 3000) AS n"""
        )
        for table in ("runs", "procrastinate_jobs", "procrastinate_workers"):
            connection.execute(f"ANALYZE jan.{table}".encode())
    return found


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(("after", "before"), [*itertools.product([None, 9001], [None, 21001])])
def test_each_listing_goes_through_an_index_and_looks_at_its_page_only(
    dsn: str, order: Any, after: int | None, before: int | None
) -> None:
    if after is not None and before is not None and order == "desc":
        after, before = before, after
    places = [None if one is None else (one, f"run_{one}") for one in (after, before)]
    statement, values, _ = statements.listing(THREAD, RunsQuery(order=order, limit=20), *places)
    assert plan_of(dsn, statement, values) == ({"runs_listed"}, 21)


@pytest.mark.parametrize("statement", [statements.FIND, statements.FIND_TO_CHANGE, statements.PLACE, statements.REMOVE])
def test_one_run_is_found_through_an_index(dsn: str, statement: str) -> None:
    assert plan_of(dsn, statement, [THREAD, "run_7001"]) == ({"runs_pkey"}, 1)


def test_the_one_that_goes_on_is_found_through_an_index(dsn: str) -> None:
    assert plan_of(dsn, statements.ACTIVE, [[THREAD, "jan-2997", "jan-none"]]) == ({"runs_going_on"}, 1)


def test_changing_one_looks_at_no_other(dsn: str) -> None:
    statement, values = statements.change({"steps": "[]"}, THREAD, "run_7001", 1, "said")
    indexes, rows = plan_of(dsn, statement, values)
    assert indexes <= {"runs_pkey", "procrastinate_jobs_lock_idx_v1"}
    assert rows <= 2


def test_beginning_looks_at_no_other(dsn: str) -> None:
    values = ["jan-new", "run_new", 1, None, "queued", True, None, "{}", "[]", "{}"]
    assert plan_of(dsn, statements.BEGIN, values)[1] <= 1


@pytest.mark.parametrize("name", ["select_stalled_jobs_by_heartbeat", "list_jobs"])
def test_the_job_of_one_run_is_found_through_an_index(dsn: str, name: str) -> None:
    text = jobs._qualified(queries[name]).decode()
    values: dict[str, Any] = dict.fromkeys(re.findall(r"%\((\w+)\)s", text))
    values |= {"queue": "q5", "queue_name": "q5", "seconds_since_heartbeat": 3.0}
    indexes, rows = plan_of(dsn, text, values)
    assert "procrastinate_jobs_queue_name_idx_v1" in indexes
    assert rows <= 2


def test_who_waits_costs_little_where_many_have_ended(dsn: str) -> None:
    indexes, rows = plan_of(dsn, statements.LEFT, [])
    assert "runs_going_on" in indexes
    assert "table runs" not in indexes
    assert rows < MANY / 4
    indexes, rows = plan_of(dsn, statements.WISHED, [[THREAD, "jan-2"], ["run_7001", "run_none"]])
    assert "table runs" not in indexes
    assert rows <= 4


def test_runs_are_exported_and_restored_through_an_index(dsn: str) -> None:
    ids = [f"run_{number}" for number in range(7000, 7150) if number % 3]
    indexes, rows = plan_of(dsn, statements.EXPORT, [THREAD, ids])
    assert "table runs" not in indexes
    assert rows <= 2 * len(ids)
    row = {"created_at": 1, "expires_at": None, "status": "completed", "run": "{}", "steps": "[]", "request": "{}"}
    given = to_json([{"id": id, **row} for id in ids]).decode()
    indexes, rows = plan_of(dsn, statements.RESTORE, [THREAD, given])
    assert "table runs" not in indexes
    assert rows <= 2 * len(ids)
