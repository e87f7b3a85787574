from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from jan_postgresql.backend import Postgresql
from psycopg.conninfo import make_conninfo

from jan_core.errors import Unavailable
from jan_core.refusal import Refusal

pytestmark = pytest.mark.anyio


async def test_a_database_that_does_not_exist_is_refused(make: Any, dsn: str) -> None:
    with pytest.raises(Refusal, match="does not exist") as refused:
        async with make(dsn=make_conninfo(dsn, dbname="nothing")):
            pytest.fail("it starts")
    assert "jan.toml, line 1" in refused.value.asked


async def test_a_database_that_cannot_hold_every_character_is_refused(make: Any, dsn: str) -> None:
    async with make() as backend:
        await backend.do(
            lambda connection: connection.execute(
                "CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
            )
        )
        try:
            with pytest.raises(Refusal, match="LATIN1"):
                async with make(dsn=make_conninfo(dsn, dbname="narrow")):
                    pytest.fail("it starts")
        finally:
            await backend.do(lambda connection: connection.execute("DROP DATABASE narrow"))


async def test_a_server_that_is_away_is_waited_for(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "jan")
    async with make(dsn="host=127.0.0.1 port=1 password=hidden", wait_seconds=0.1) as backend:
        with pytest.raises(Unavailable):
            await backend.do(lambda connection: connection.execute("SELECT 1"))
    assert "cannot be reached yet" in caplog.text
    assert "hidden" not in caplog.text


async def test_without_a_dsn_there_is_a_server_inside_the_root(make: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    async with make(dsn="") as backend:
        assert isinstance(backend, Postgresql)
        assert backend.own is not None
        await backend.do(lambda connection: connection.execute("SELECT FROM jan.replies"))
        assert (tmp_path / "root" / "postgresql" / "data").is_dir()
    assert backend.own.pid() is None


async def test_entered_again(make: Any) -> None:
    backend = make()
    for _ in range(2):
        async with backend:
            await backend.do(lambda connection: connection.execute("SELECT FROM jan.replies"))
