from __future__ import annotations

import asyncio
import itertools

import psycopg
import pytest
from jan_assistants_postgresql import statements
from jan_postgresql.migrations import OWN, migrate, migrations_of
from jan_postgresql.testing import dsn_for, plan_of
from pydantic_core import to_json

MANY = 20_000
FILL = """INSERT INTO jan.assistants (id, created_at, fields)
    SELECT 'asst_' || to_char(n, 'FM00000'), n / 3, '{"model":""}' FROM generate_series(1, %s) AS n"""
PLACES = [None, (2000, "asst_06001"), (5000, "asst_15001")]


@pytest.fixture(scope="module")
def dsn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Many assistants."""
    found = dsn_for(tmp_path_factory.mktemp("many"))

    async def make() -> None:
        wanted = [
            *migrations_of("jan-postgresql", OWN),
            *migrations_of("assistants-postgresql", "jan_assistants_postgresql"),
        ]
        async with await psycopg.AsyncConnection.connect(found, autocommit=True) as connection:
            await migrate(connection, wanted)

    asyncio.run(make())
    with psycopg.connect(found, autocommit=True) as connection:
        connection.execute(FILL, [MANY])
        connection.execute("ANALYZE")
    return found


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("places", [*itertools.combinations(PLACES, 2), (None, None)])
def test_a_listing_goes_through_an_index_and_looks_at_its_page_only(
    dsn: str, ascending: bool, places: tuple[statements.Place | None, statements.Place | None]
) -> None:
    begin, end = places if ascending or None in places else places[::-1]
    statement, values = statements.listing(begin, end, ascending=ascending, limit=20)
    assert plan_of(dsn, statement, values) == ({"assistants_by_time"}, 21)


@pytest.mark.parametrize("statement", [statements.FIND, statements.PLACE, statements.DELETE])
def test_one_assistant_is_found_through_an_index(dsn: str, statement: str) -> None:
    assert plan_of(dsn, statement, ["asst_00007"]) == ({"assistants_pkey"}, 1)


def test_assistants_are_exported_and_restored_through_an_index(dsn: str) -> None:
    ids = [f"asst_{number:05}" for number in range(1, 101)]
    indexes, rows = plan_of(dsn, statements.EXPORT, [ids])
    assert "table assistants" not in indexes
    assert rows <= 2 * len(ids)
    given = to_json([{"id": id, "created_at": 1, "fields": "{}"} for id in ids]).decode()
    indexes, rows = plan_of(dsn, statements.RESTORE, [given])
    assert "table assistants" not in indexes
    assert rows <= 2 * len(ids)
