"""The statements on `jan.threads` and their labels. A test holds each listing to its index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jan_postgresql.replies import KEEP

from jan_threads_postgresql.rows import COLUMNS

BUDGET = 1000
"""Threads that a listing by several labels looks at, at most; then the page ends early."""
MANY = 10_000
"""Deleted threads that are told at once, at most."""

Place = tuple[int, str]
"""Where a thread stands in the listing: its time and id."""

CHECK = "SELECT id FROM jan.threads WHERE id = ANY(%s) AND deleted_at IS NULL"
FIND = f"SELECT {COLUMNS} FROM jan.threads WHERE id = %s AND deleted_at IS NULL"
FIND_TO_CHANGE = f"{FIND} FOR UPDATE"
CHANGE = "UPDATE jan.threads SET fields = %s::json WHERE id = %s"
BEGIN = """INSERT INTO jan.threads (id, created_at, fields, deleted_at)
    VALUES (%s, %s, %s::json, now() + interval '1 hour') ON CONFLICT (id) DO NOTHING"""
"""Notes a thread that is being made."""
BREAK_OFF = "UPDATE jan.threads SET deleted_at = now() WHERE id = %s AND deleted_at > now()"
_LABELLED = """WITH made AS ({made} RETURNING id, created_at),
    labelled AS (INSERT INTO jan.thread_labels (label, created_at, thread_id)
        SELECT unnest(%s::bytea[]), created_at, id FROM made ON CONFLICT DO NOTHING)
    SELECT id FROM made"""
FINISH = _LABELLED.format(made="UPDATE jan.threads SET deleted_at = NULL WHERE id = %s AND deleted_at > now()")
"""Has a thread seen that was being made: `[id, labels]`. No row where it is not being made any more."""
ADD = _LABELLED.format(
    made="INSERT INTO jan.threads (id, created_at, fields) VALUES (%s, %s, %s::json) ON CONFLICT (id) DO NOTHING"
)
"""Adds a thread: `[id, created_at, fields, labels]`. The same again adds nothing, and gives no row."""
KEEP_REPLY = KEEP
PUT = """INSERT INTO jan.threads (id, created_at, fields) VALUES (%s, %s, %s::json)
    ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, fields = excluded.fields
    WHERE threads.deleted_at IS NULL"""
EXPORT = f"SELECT {COLUMNS} FROM jan.threads WHERE id = ANY(%s) AND deleted_at IS NULL"
RESTORE = """INSERT INTO jan.threads (id, created_at, fields)
    SELECT id, created_at, fields::json
    FROM json_to_recordset(%s::json) AS given (id text, created_at bigint, fields text)
    ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, fields = excluded.fields
    WHERE threads.deleted_at IS NULL"""
"""Puts threads: `[JSON with a list of rows]`. Fewer rows where one of them was deleted."""
REMOVE_LABELS_OF = "DELETE FROM jan.thread_labels WHERE thread_id = ANY(%s)"
ADD_LABELS_OF = """INSERT INTO jan.thread_labels (label, created_at, thread_id)
    SELECT * FROM unnest(%s::bytea[], %s::bigint[], %s::text[]) ON CONFLICT DO NOTHING"""
"""Labels several threads: `[labels, times, ids]`, a label each."""
REMOVE_LABELS = "DELETE FROM jan.thread_labels WHERE thread_id = %s"
ADD_LABELS = """INSERT INTO jan.thread_labels (label, created_at, thread_id)
    SELECT unnest(%s::bytea[]), %s, %s ON CONFLICT DO NOTHING"""
DELETE = "UPDATE jan.threads SET deleted_at = now() WHERE id = %s AND deleted_at IS NULL"
DELETED = f"SELECT id FROM jan.threads WHERE deleted_at <= now() ORDER BY deleted_at LIMIT {MANY}"
FORGET = "DELETE FROM jan.threads WHERE id = %s AND deleted_at <= now()"
PLACE = "SELECT created_at FROM jan.threads WHERE id = %s AND deleted_at IS NULL"


def listing(
    labels: Sequence[bytes], begin: Place | None, end: Place | None, *, ascending: bool, limit: int
) -> tuple[str, list[Any]]:
    """The statement of a page, with one row more than its limit, and its values.

    Args:
        labels: what the threads must have; of several, only the first `BUDGET` threads with the first are looked at.
        begin: the place that it begins behind.
        end: the place that it ends in front of.
        ascending: whether the older ones come first.
        limit: of the page.
    """
    order = "ASC" if ascending else "DESC"
    if not labels:
        where, values = _between("created_at, id", begin, end, ascending)
        return (
            f"SELECT {COLUMNS} FROM jan.threads WHERE deleted_at IS NULL{where} "
            f"ORDER BY created_at {order}, id {order} LIMIT %s",
            [*values, limit + 1],
        )
    scan, values = _scan(labels[0], begin, end, ascending)
    others = "".join(
        " AND EXISTS (SELECT FROM jan.thread_labels AS other WHERE other.label = %s"
        " AND other.created_at = found.created_at AND other.thread_id = found.thread_id)"
        for _ in labels[1:]
    )
    return (
        f"SELECT id, threads.created_at, fields::text FROM ({scan} LIMIT %s) AS found "
        f"JOIN jan.threads ON id = found.thread_id AND deleted_at IS NULL{others} "
        f"ORDER BY found.created_at {order}, found.thread_id {order} LIMIT %s",
        [*values, BUDGET if others else limit + 1, *labels[1:], limit + 1],
    )


def last_looked_at(label: bytes, begin: Place | None, end: Place | None, *, ascending: bool) -> tuple[str, list[Any]]:
    """Gives the last of the `BUDGET` threads that a listing looked at; none where they were fewer."""
    scan, values = _scan(label, begin, end, ascending)
    return f"{scan} OFFSET %s LIMIT 1", [*values, BUDGET - 1]


def _scan(label: bytes, begin: Place | None, end: Place | None, ascending: bool) -> tuple[str, list[Any]]:
    where, values = _between("created_at, thread_id", begin, end, ascending)
    order = "ASC" if ascending else "DESC"
    return (
        f"SELECT created_at, thread_id FROM jan.thread_labels WHERE label = %s{where} "
        f"ORDER BY created_at {order}, thread_id {order}",
        [label, *values],
    )


def _between(columns: str, begin: Place | None, end: Place | None, ascending: bool) -> tuple[str, list[Any]]:
    text, values = "", list[Any]()
    for place, sign in ((begin, ">" if ascending else "<"), (end, "<" if ascending else ">")):
        if place is not None:
            text += f" AND ({columns}) {sign} (%s, %s)"
            values += place
    return text, values
