"""The statements on `jan.runs` and on who carries runs on. A test holds each of them to its index."""

from __future__ import annotations

from typing import Any

from jan_postgresql.listening import CHANNEL, SAY

from jan_core.schemas.runs import RunsQuery
from jan_runs_postgresql.rows import COLUMNS

Place = tuple[int, str]
"""Where a run stands in its thread's listing: its time and id."""

CANCEL, SAID = "run.cancel", "run.said"
"""What other servers are told of a run, in front of its thread's id and its own: that it is to be cancelled, or is
gone; that there is more of it to read."""

_STORED = "thread_id, id, created_at, expires_at, status, goes_on, key, run, steps, request"
_VALUES = "%s, %s, %s::bigint, %s::bigint, %s, %s, %s, %s::json, %s::json, %s::json"
_CHANGED = ", ".join(f"{name} = excluded.{name}" for name in _STORED.split(", ")[2:] if name != "key")

BEGIN = f"""INSERT INTO jan.runs ({_STORED}) VALUES ({_VALUES})
    ON CONFLICT (thread_id) WHERE goes_on DO NOTHING"""
"""Begins a run. No row where its thread has one that goes on."""
PUT = f"""INSERT INTO jan.runs ({_STORED}) VALUES ({_VALUES})
    ON CONFLICT (thread_id, id) DO UPDATE SET {_CHANGED}"""
EXPORT = f"SELECT id, {COLUMNS} FROM jan.runs WHERE thread_id = %s AND id = ANY(%s)"
RESTORE = f"""INSERT INTO jan.runs (thread_id, id, created_at, expires_at, status, goes_on, run, steps, request)
    SELECT %s, id, created_at, expires_at, status, false, run::json, steps::json, request::json
    FROM json_to_recordset(%s::json) AS given
        (id text, created_at bigint, expires_at bigint, status text, run text, steps text, request text)
    ON CONFLICT (thread_id, id) DO UPDATE SET {_CHANGED}"""
"""Puts runs that have ended, all or none: `[thread, JSON with a list of rows]`."""
FIND = f"SELECT {COLUMNS} FROM jan.runs WHERE thread_id = %s AND id = %s"
FIND_TO_CHANGE = f"{FIND} FOR UPDATE"
FIND_TO_CHANGE_SOON = f"""SELECT {COLUMNS}, set_config('synchronous_commit', 'off', true) FROM jan.runs
    WHERE thread_id = %s AND id = %s FOR UPDATE"""
"""The same; and what is committed then is on the disk a moment later."""
ACTIVE = f"SELECT thread_id, {COLUMNS} FROM jan.runs WHERE thread_id = ANY(%s) AND goes_on"
PLACE = "SELECT created_at FROM jan.runs WHERE thread_id = %s AND id = %s"
_GONE = f"RETURNING key, pg_notify('{CHANNEL}', '{CANCEL} ' || thread_id || '/' || id)"
REMOVE = f"DELETE FROM jan.runs WHERE thread_id = %s AND id = %s {_GONE}"
REMOVE_ALL = f"DELETE FROM jan.runs WHERE thread_id = %s {_GONE}"
"""Removes runs, and tells whoever carries them on."""
FORGET_REPLIES = "DELETE FROM jan.replies WHERE key = ANY(%s)"
WISHED = """SELECT asked.thread_id, asked.id FROM unnest(%s::text[], %s::text[]) AS asked (thread_id, id)
    LEFT JOIN jan.runs ON runs.thread_id = asked.thread_id AND runs.id = asked.id
    WHERE runs.status IS NULL OR runs.status = 'cancelling'"""
"""Which of some runs are to be cancelled, or are gone: `[threads, ids]`."""

CLAIM_SECONDS = 3.0
"""Seconds after its last sign of life in which nobody else takes what a process carries on."""
FORGOTTEN_SECONDS = 3600.0
"""Seconds after which a process that died is forgotten."""
WORKER = "SELECT FROM jan.procrastinate_workers WHERE id = %s"
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
"""Waits for all others that change who carries a run on: `[lock]`."""
FORGET_JOBS = """DELETE FROM jan.procrastinate_jobs WHERE status = 'doing' AND worker_id IS NULL
    AND NOT EXISTS (SELECT FROM jan.runs
        WHERE runs.thread_id = args ->> 'thread_id' AND runs.id = args ->> 'run_id' AND goes_on)"""
"""Forgets jobs of the dead on runs that have ended."""
LEFT = f"""SELECT runs.thread_id, runs.id FROM jan.runs
    WHERE goes_on AND (runs.status <> 'requires_action' OR expires_at <= extract(epoch FROM now()))
    AND NOT EXISTS (SELECT FROM jan.procrastinate_jobs AS jobs JOIN jan.procrastinate_workers AS workers
        ON workers.id = worker_id AND last_heartbeat > now() - interval '{CLAIM_SECONDS} seconds'
        WHERE jobs.status = 'doing' AND lock = runs.thread_id || '/' || runs.id) ORDER BY runs.thread_id LIMIT 1000"""
"""Runs that should go on, and that nobody who lives carries on."""


def change(
    changed: dict[str, Any], thread_id: str, run_id: str, worker: int | None, say: str | None
) -> tuple[str, list[Any]]:
    """The statement that writes what changed of a run, and its values. No row where its worker has lost it.

    Args:
        changed: columns and their values.
        thread_id: the thread.
        run_id: the run.
        worker: who has it, by its own account; None where somebody else changes it.
        say: what other servers are told with it; None: nothing.
    """
    kinds = {"run": "::json", "steps": "::json", "request": "::json", "expires_at": "::bigint"}
    sets = ", ".join(f"{name} = %s{kinds.get(name, '')}" for name in changed)
    statement = f"UPDATE jan.runs SET {sets} WHERE thread_id = %s AND id = %s"
    values = [*changed.values(), thread_id, run_id]
    if worker is not None:
        fence = "SELECT FROM jan.procrastinate_jobs WHERE status = 'doing' AND lock = %s AND worker_id = %s"
        statement, values = f"{statement} AND EXISTS ({fence})", [*values, f"{thread_id}/{run_id}", worker]
    return (statement, values) if say is None else (f"{statement} RETURNING {SAY}", [*values, say])


def listing(thread_id: str, query: RunsQuery, after: Place | None, before: Place | None) -> tuple[str, list[Any], bool]:
    """The statement of a page, with one row more than its limit.

    Args:
        thread_id: the thread.
        query: what was asked for.
        after: the place of the run that `query.after` names.
        before: the place of the one that `query.before` names.

    Returns:
        The statement, its values, and whether its rows come in the order opposite to that of the page: those in front
        of `before` are found from there backwards.
    """
    backwards = before is not None and after is None
    ascending = (query.order == "asc") is not backwards
    begin, end = (before, None) if backwards else (after, before)
    where, values = "thread_id = %s", list[Any]([thread_id])
    for place, sign in ((begin, ">" if ascending else "<"), (end, "<" if ascending else ">")):
        if place is not None:
            where += f" AND (created_at, id) {sign} (%s, %s)"
            values += place
    order = "ASC" if ascending else "DESC"
    statement = f"SELECT run::text FROM jan.runs WHERE {where} ORDER BY created_at {order}, id {order} LIMIT %s"
    return statement, [*values, query.limit + 1], backwards
