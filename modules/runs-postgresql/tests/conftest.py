from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from jan_postgresql import Postgresql
from jan_postgresql.testing import dsn_for
from jan_runs_postgresql.store import RunsPostgresql

from jan_core.ids import new_timed_id, timed_id_time
from jan_core.schemas.runs import KeptRun, MessageCreation, MessageCreationDetails, Run, RunStep
from jan_core.testing.wired import wired

THREAD = "jan-1790000000-0123456789abcd"


def kept(id: str | None = None, thread: str = THREAD, **fields: Any) -> KeptRun:
    """A run that has not ended, unless told otherwise."""
    id = new_timed_id("run_") if id is None else id
    made = {"created_at": timed_id_time(id, "run_") or 1_790_000_000, "assistant_id": "jan", "model": "m"}
    return KeptRun(run=Run.model_validate({"id": id, "thread_id": thread, **made, **fields}), request={"a": [1]})


def step(of: KeptRun, id: str = "step_1") -> RunStep:
    return RunStep(
        id=id,
        created_at=1_790_000_000,
        assistant_id="jan",
        thread_id=of.run.thread_id,
        run_id=of.run.id,
        type="message_creation",
        step_details=MessageCreationDetails(message_creation=MessageCreation(message_id="msg_1")),
    )


@pytest.fixture
def dsn(tmp_path: Path) -> str:
    return dsn_for(tmp_path)


@asynccontextmanager
async def opened(folder: Path, dsn: str) -> AsyncIterator[RunsPostgresql]:
    """A store as one server has it: with a pool, and claims, of its own."""
    backends = {one.name: one for one in entry_points(group="jan.backends")}
    tables = {"jan-postgresql": {"dsn": dsn}, "server": {"log_requests": False}}
    modules = {"models-memory": "jan_core.testing.memory", "threads-postgresql": "jan_threads_postgresql"}
    async with wired(folder, tables, modules=modules, backends=backends) as jan:
        backend = jan.backend(Postgresql)
        backend.needs("runs-postgresql", "jan_runs_postgresql")
        await backend._prepare()
        async with RunsPostgresql(jan) as store:
            yield store


@pytest.fixture
async def store(tmp_path: Path, dsn: str) -> AsyncIterator[RunsPostgresql]:
    async with opened(tmp_path / "one", dsn) as made:
        yield made


@pytest.fixture
async def other(tmp_path: Path, dsn: str, store: RunsPostgresql) -> AsyncIterator[RunsPostgresql]:
    """As another server has it."""
    async with opened(tmp_path / "two", dsn) as made:
        yield made
