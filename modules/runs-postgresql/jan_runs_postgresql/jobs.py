"""Handing runs out: each that is carried on is a job of procrastinate, and each process one of its workers.

A job lies in a queue of its own, since it is not any next one that a process takes: the one that was asked for a run
carries it on, and tells its stream. A job is there as long as somebody carries its run on; what is to go on stands in
`jan.runs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from procrastinate.connector import BaseAsyncConnector
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from typing_extensions import override

from jan_runs_postgresql import statements

if TYPE_CHECKING:
    from jan_postgresql.database import Connection

TASK = "carry_on"
Ids = tuple[str, str]
"""Thread and run."""

_NAME = re.compile(r"\bprocrastinate_(?=\w)")
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class _Here(BaseAsyncConnector):
    """Has procrastinate work on a connection that is there already, inside of its transaction.

    Args:
        connection: the connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        await self._connection.execute(_qualified(query), _wrapped(arguments))

    @override
    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        return (await self.execute_query_all_async(query, **arguments))[0]

    @override
    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_qualified(query), _wrapped(arguments))
            return await cursor.fetchall()


@cache
def _qualified(query: str) -> bytes:
    """A statement with the schema in front of each name: a session behind a PgBouncer keeps no `search_path`."""
    return _NAME.sub("jan.procrastinate_", query).encode()


def _wrapped(value: Any) -> Any:
    """The values of a statement, with what is JSON among them marked as such; as a whole they are a dictionary."""
    return {name: _marked(one) for name, one in value.items()}


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return Jsonb(value)
    if isinstance(value, list):
        return [_marked(one) for one in value]
    if isinstance(value, tuple):
        return tuple(_marked(one) for one in value)
    return value


def lock_of(ids: Ids) -> str:
    """What the job of a run locks. No two jobs with the same lock are carried on at once."""
    return "/".join(ids)


def _ids_of(job: Job) -> Ids:
    return str(job.task_kwargs["thread_id"]), str(job.task_kwargs["run_id"])


def _queue_of(ids: Ids) -> str:
    return sha256(lock_of(ids).encode()).hexdigest()[:32]


async def register(connection: Connection) -> int:
    """Make this process a worker, and return its number."""
    return await JobManager(_Here(connection)).register_worker()


async def beat(connection: Connection, worker: int) -> tuple[int, set[Ids]]:
    """Give a sign of life.

    Returns:
        The worker's number, which is a new one where it was forgotten meanwhile, and the runs that it has.
    """
    manager = JobManager(_Here(connection))
    await manager.update_heartbeat(worker)
    if await (await connection.execute(statements.WORKER, [worker])).fetchone() is None:
        return await manager.register_worker(), set()
    jobs = await manager.list_jobs_async(worker_id=worker, status=Status.DOING.value)
    return worker, {_ids_of(job) for job in jobs}


async def take(connection: Connection, worker: int, ids: Ids) -> bool:
    """Have a worker carry a run on, inside of a transaction; False where another one does that lives.

    One that gave no sign of life for long loses its job: it is tried again, by this worker.
    """
    manager = JobManager(_Here(connection))
    job = await _alone(connection, manager, ids)
    queue, lock = _queue_of(ids), lock_of(ids)
    if job is None:
        values: dict[str, Any] = {"thread_id": ids[0], "run_id": ids[1]}
        new = Job(queue=queue, lock=lock, queueing_lock=lock, task_name=TASK, task_kwargs=values)
        await manager.defer_job_async(new)
    elif job.status == Status.DOING.value:
        if job.worker_id == worker:
            return True
        seconds = statements.CLAIM_SECONDS
        stalled = await manager.get_stalled_jobs(queue=queue, seconds_since_heartbeat=seconds)
        if job.id is None or job.id not in {one.id for one in stalled}:
            return False
        await manager.retry_job_by_id_async(job.id, retry_at=_LONG_AGO)
    return await manager.fetch_job([queue], worker) is not None


async def let_go(connection: Connection, worker: int, ids: Ids) -> None:
    """Have a worker carry a run on no more, inside of a transaction; nothing where another one has it."""
    manager = JobManager(_Here(connection))
    job = await _alone(connection, manager, ids)
    if job is not None and job.worker_id == worker:
        await manager.finish_job(job, Status.SUCCEEDED, delete_job=True)


async def leave(connection: Connection, worker: int) -> None:
    """End a worker. What it has is free for others at once, since nobody is known to have it."""
    await JobManager(_Here(connection)).unregister_worker(worker)


async def tidy(connection: Connection) -> None:
    """Forget workers that died long ago, and their jobs where these have ended."""
    await JobManager(_Here(connection)).prune_stalled_workers(statements.FORGOTTEN_SECONDS)
    await connection.execute(statements.FORGET_JOBS)


async def _alone(connection: Connection, manager: JobManager, ids: Ids) -> Job | None:
    """The job of a run, once nobody else is changing who carries it on: two would take it from each other."""
    await connection.execute(statements.ONE_AT_A_TIME, [lock_of(ids)])
    jobs: Iterable[Job] = await manager.list_jobs_async(queue=_queue_of(ids))
    return next(iter(jobs), None)
