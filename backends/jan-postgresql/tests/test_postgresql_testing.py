from __future__ import annotations

from pathlib import Path

import psycopg
from jan_postgresql.testing import dsn_for, plan_of


def test_a_folder_has_one_database_and_another_folder_another(tmp_path: Path) -> None:
    first, other = dsn_for(tmp_path / "a"), dsn_for(tmp_path / "b")
    assert first == dsn_for(tmp_path / "a") != other
    for dsn in (first, other):
        with psycopg.connect(dsn) as connection:
            connection.execute("CREATE TABLE own (a int)")


def test_how_rows_are_found(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE numbers (a int PRIMARY KEY, b int)")
        connection.execute("INSERT INTO numbers SELECT n, n FROM generate_series(1, 5000) AS n")
        connection.execute("ANALYZE numbers")
    assert plan_of(dsn, "SELECT b FROM numbers WHERE a = %s", [7]) == ({"numbers_pkey"}, 1)
    assert plan_of(dsn, "SELECT a FROM numbers WHERE b = %s", [7]) == ({"table numbers"}, 5000)
    assert plan_of(dsn, "SELECT a FROM numbers ORDER BY b LIMIT 1", []) == ({"table numbers", "sort"}, 5000)
