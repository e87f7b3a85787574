from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jan_postgresql.backend import Postgresql
from jan_postgresql.settings import PostgresqlSettings
from jan_postgresql.testing import dsn_for

Make = Callable[..., Postgresql]


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    """A database of this test's own."""
    return dsn_for(tmp_path)


@pytest.fixture
def make(tmp_path: Path, dsn: str) -> Make:
    """`make(wait_seconds=1)` builds a backend on this test's database, not yet entered."""

    def do(**settings: Any) -> Postgresql:
        config = SimpleNamespace(where=lambda *_: "jan.toml, line 1")
        jan: Any = SimpleNamespace(root=tmp_path / "root", config=config)
        return Postgresql(PostgresqlSettings(**{"dsn": dsn, **settings}), jan)

    return do


@pytest.fixture
async def backend(make: Make) -> AsyncIterator[Postgresql]:
    async with make() as entered:
        yield entered
