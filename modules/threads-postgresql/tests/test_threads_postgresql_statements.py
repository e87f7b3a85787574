from __future__ import annotations

import asyncio
import itertools

import psycopg
import pytest
from jan_postgresql.migrations import OWN, migrate, migrations_of
from jan_postgresql.testing import dsn_for, plan_of
from jan_threads_postgresql import statements
from jan_threads_postgresql.rows import labels_asked
from pydantic_core import to_json

from jan_core.schemas.threads import ThreadsQuery

MANY = 30_000
FILL = """INSERT INTO jan.threads (id, created_at, fields, deleted_at)
    SELECT 'jan-' || to_char(n, 'FM00000'), n / 3, '{"metadata":{}}', CASE WHEN n %% 50 = 0 THEN now() END
    FROM generate_series(1, %s) AS n"""
LABEL = """INSERT INTO jan.thread_labels SELECT %s, created_at, id FROM jan.threads
    WHERE deleted_at IS NULL AND right(id, 5)::int %% %s = 1"""
COMMON, RARE = {"team": "all"}, {"topic": "cats"}
PLACES = [None, (3000, "jan-09001"), (7000, "jan-21001")]


def labels(*pairs: dict[str, str]) -> list[bytes]:
    return labels_asked(ThreadsQuery(metadata={name: value for one in pairs for name, value in one.items()}))


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Many threads, half of which have one label, and a few another."""
    found = dsn_for(tmp_path_factory.mktemp("many"))

    async def make() -> None:
        wanted = [
            *migrations_of("jan-postgresql", OWN),
            *migrations_of("threads-postgresql", "jan_threads_postgresql"),
        ]
        async with await psycopg.AsyncConnection.connect(found, autocommit=True) as connection:
            await migrate(connection, wanted)

    asyncio.run(make())
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(FILL, [MANY])
        for pairs, every in ((COMMON, 2), (RARE, 600)):
            connection.execute(LABEL, [labels(pairs)[0], every])
        connection.execute("ANALYZE")
    return found


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("places", [*itertools.combinations(PLACES, 2), (None, None)])
def test_a_listing_goes_through_an_index_and_looks_at_its_page_only(
    dsn: str, ascending: bool, places: tuple[statements.Place | None, statements.Place | None]
) -> None:
    begin, end = places if ascending or None in places else places[::-1]
    statement, values = statements.listing([], begin, end, ascending=ascending, limit=20)
    assert plan_of(dsn, statement, values) == ({"threads_by_time"}, 21)


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("pairs", [COMMON, RARE])
@pytest.mark.parametrize("begin", PLACES)
def test_so_does_one_by_a_label_whether_many_have_it_or_few(
    dsn: str, ascending: bool, pairs: dict[str, str], begin: statements.Place | None
) -> None:
    statement, values = statements.listing(labels(pairs), begin, None, ascending=ascending, limit=20)
    indexes, rows = plan_of(dsn, statement, values)
    assert {"thread_labels_pkey", "threads_pkey"} == indexes - {"sort"}
    assert 0 < rows <= 2 * 21


def test_one_by_several_labels_looks_at_no_more_than_its_budget(dsn: str) -> None:
    statement, values = statements.listing(labels(COMMON, RARE), None, None, ascending=False, limit=20)
    indexes, rows = plan_of(dsn, statement, values)
    assert "table threads" not in indexes
    assert rows <= 3 * statements.BUDGET
    statement, values = statements.last_looked_at(labels(COMMON)[0], None, None, ascending=False)
    indexes, rows = plan_of(dsn, statement, values)
    assert (indexes, rows) == ({"thread_labels_pkey"}, statements.BUDGET)


@pytest.mark.parametrize("count", [1, 2, 16])
def test_threads_are_checked_together_through_an_index(dsn: str, count: int) -> None:
    ids = [f"jan-{number:05}" for number in range(101, 101 + count)]
    indexes, rows = plan_of(dsn, statements.CHECK, [ids])
    assert "table threads" not in indexes
    assert count <= rows <= 2 * count


@pytest.mark.parametrize("statement", [statements.FIND, statements.PLACE])
def test_one_thread_is_found_through_an_index(dsn: str, statement: str) -> None:
    assert plan_of(dsn, statement, ["jan-00007"]) == ({"threads_pkey"}, 1)


def test_the_deleted_are_found_without_looking_at_the_others(dsn: str) -> None:
    indexes, rows = plan_of(dsn, statements.DELETED, [])
    assert "table threads" not in indexes
    assert rows == MANY // 50


def test_threads_are_exported_and_restored_through_an_index(dsn: str) -> None:
    ids = [f"jan-{number:05}" for number in range(101, 201)]
    indexes, rows = plan_of(dsn, statements.EXPORT, [ids])
    assert "table threads" not in indexes
    assert rows <= 2 * len(ids)
    given = to_json([{"id": id, "created_at": 1, "fields": "{}"} for id in ids]).decode()
    indexes, rows = plan_of(dsn, statements.RESTORE, [given])
    assert "table threads" not in indexes
    assert rows <= 2 * len(ids)
    indexes, rows = plan_of(dsn, statements.REMOVE_LABELS_OF, [ids])
    assert "table thread_labels" not in indexes
    assert rows <= 20 * len(ids)
