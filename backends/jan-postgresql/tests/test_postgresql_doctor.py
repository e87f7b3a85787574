from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jan_postgresql.backend import Postgresql
from jan_postgresql.doctor import checks

from jan_core.check import Verdict


def look(backend: Postgresql) -> Verdict:
    jan: Any = backend.jan
    jan.backends = {Postgresql: backend}
    (check,) = checks(jan, "messages-postgresql")
    return check.run()


def test_a_database_that_is_not_there(make: Any) -> None:
    found = look(make(dsn="host=127.0.0.1 port=1"))
    assert (found.ok, "[jan-postgresql] dsn" in found.remedy) == (False, True)


def test_tables_that_are_not_there(make: Any) -> None:
    found = look(make())
    assert (found.ok, found.remedy) == (False, "jan db migrate")


@pytest.mark.anyio
async def test_a_database_in_order(make: Any) -> None:
    import anyio.to_thread

    backend = make()
    async with backend:
        pass
    found = await anyio.to_thread.run_sync(look, backend)
    assert found.ok
    assert "PostgreSQL 18" in found.why


def test_a_server_of_its_own_is_not_started_for_it(make: Any, tmp_path: Path) -> None:
    assert look(make(dsn="")).ok
    assert not (tmp_path / "root").exists()
