"""The statements on `jan.messages`. A test holds each listing to its index."""

from __future__ import annotations

from typing import Any

from jan_postgresql.replies import KEEP

from jan_core.schemas.messages import MessagesQuery
from jan_messages_postgresql.rows import COLUMNS, RESTORED, STORED, TYPES

_VALUES = ", ".join(f"%s::{kind}" for kind in TYPES)
_CAST = ", ".join(f"{name}::{kind}" for name, kind in zip(STORED.split(", "), TYPES, strict=True))
_LISTS = ", ".join("%s::bigint[]" if kind == "bigint" else "%s::text[]" for kind in TYPES)
_CHANGES = ", ".join(f"{name} = excluded.{name}" for name in STORED.split(", ")[1:])

# The lock is taken before a place is drawn, and given back after the row can be seen. So whoever has read the messages
# up to one place never finds another one before it later. OFFSET 0 keeps the two apart.
_LOCKED = "(SELECT pg_advisory_xact_lock(hashtextextended(%s, 7)){source} OFFSET 0) AS locked"
_INSERT = f"""INSERT INTO jan.messages (thread_id, place, {STORED})
    SELECT %s, nextval('jan.message_places'), {_VALUES} FROM """

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7))"
"""Takes a thread's lock until the transaction ends: `[thread]`."""
ADD = f"{_INSERT}{_LOCKED.format(source='')} ON CONFLICT (thread_id, id) DO NOTHING"
"""Adds a message at the end: `[thread, *values, thread]`. The same again adds nothing."""
ADD_ONCE = f"WITH kept AS ({KEEP}) {_INSERT}{_LOCKED.format(source=' FROM kept')}"
"""Adds a message and keeps the reply under a key, or does neither: `[key, thread, fingerprint, reply, thread, *values,
thread]`."""
ADD_SOME = f"""INSERT INTO jan.messages (thread_id, place, {STORED})
    SELECT thread_id, nextval('jan.message_places'), {_CAST}
    FROM (SELECT given.* FROM unnest(%s::text[], {_LISTS}) WITH ORDINALITY AS given (thread_id, {STORED}, number),
        (SELECT count(pg_advisory_xact_lock(key)) FROM (
            SELECT DISTINCT hashtextextended(thread_id, 7) AS key FROM unnest(%s::text[]) AS thread_id ORDER BY key
        OFFSET 0) AS keys) AS locked
        ORDER BY number) AS ordered
    ON CONFLICT (thread_id, id) DO NOTHING"""
"""Adds messages of several threads, in their order: `[a list of threads, *(a list for each column), the same threads]`.
The locks are taken in one order by all, so that no two wait for each other."""
PUT = f"{_INSERT}{_LOCKED.format(source='')} ON CONFLICT (thread_id, id) DO UPDATE SET {_CHANGES}"
"""Adds a message, or puts it in the place of the one of its id: `[thread, *values, thread]`."""
ADD_MANY = f"""INSERT INTO jan.messages (thread_id, place, {STORED})
    SELECT %s, nextval('jan.message_places'), {_CAST}
    FROM (SELECT * FROM unnest({_LISTS}) WITH ORDINALITY AS given ({STORED}, number) ORDER BY number) AS ordered"""
"""Adds messages in their order: `[thread, *(a list for each column)]`."""
IDS = "SELECT count(*) FROM jan.messages WHERE thread_id = %s AND id = ANY(%s)"
"""How many of some messages are there: `[thread, ids]`."""
RESTORE = rf"""COPY jan.messages ({", ".join(RESTORED)}) FROM STDIN
    WITH (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01', NULL '', ENCODING 'UTF8')"""
"""Adds messages in their order, all or none; the place of each is drawn as it is stored. See `lines.restoring`."""
_LINE = """'{"id":' || to_json(id) || ',"object":"thread.message","created_at":' || created_at
    || ',"thread_id":' || to_json(thread_id) || ',"status":"' || status
    || '","incomplete_details":' || coalesce(incomplete_details::text, 'null')
    || ',"completed_at":' || coalesce(completed_at::text, 'null')
    || ',"incomplete_at":' || coalesce(incomplete_at::text, 'null')
    || ',"role":"' || role || '","content":' || content
    || ',"assistant_id":' || coalesce(to_json(assistant_id)::text, 'null')
    || ',"run_id":' || coalesce(to_json(run_id)::text, 'null')
    || ',"attachments":' || coalesce(attachments::text, 'null') || ',"metadata":' || metadata || '}'"""
TOGETHER = 100
"""Lines of one row: the driver reads what it is sent in pieces as large as a row, and each piece costs a turn."""
EXPORT = rf"""SELECT string_agg(line, E'\x1e' ORDER BY place), string_agg(others, E'\x1e' ORDER BY place)
    FROM (SELECT place, {_LINE} AS line, coalesce(others::text, '') AS others,
            (row_number() OVER (ORDER BY place) - 1) / {TOGETHER} AS part
        FROM jan.messages WHERE thread_id = %s AND place > %s ORDER BY place LIMIT %s) AS found
    GROUP BY part ORDER BY part"""
"""Messages as lines, and what each has beside, with what no JSON has between them: `[thread, place, limit]`."""
FIND = f"SELECT {COLUMNS} FROM jan.messages WHERE thread_id = %s AND id = %s"
CHANGE = f"UPDATE jan.messages SET metadata = %s::json WHERE thread_id = %s AND id = %s RETURNING {COLUMNS}"
REMOVE = "DELETE FROM jan.messages WHERE thread_id = %s AND id = %s"
REMOVE_ALL = "DELETE FROM jan.messages WHERE thread_id = %s"
REMOVE_SOME = """DELETE FROM jan.messages WHERE thread_id = %s AND place <= (
    SELECT max(place) FROM (SELECT place FROM jan.messages WHERE thread_id = %s ORDER BY place LIMIT %s) AS oldest)"""
FORGET_REPLIES = "DELETE FROM jan.replies WHERE scope = %s"
PLACE = "SELECT place FROM jan.messages WHERE thread_id = %s AND id = %s"


def listing(thread_id: str, query: MessagesQuery, after: int | None, before: int | None) -> tuple[str, list[Any], bool]:
    """The statement of a page, with one row more than its limit.

    Args:
        thread_id: the thread.
        query: what was asked for.
        after: the place of the message that `query.after` names.
        before: the place of the one that `query.before` names.

    Returns:
        The statement, its values, and whether its rows come in the order opposite to that of the page: those in front
        of `before` are found from there backwards.
    """
    backwards = before is not None and after is None
    ascending = (query.order == "asc") is not backwards
    begin, end = (before, None) if backwards else (after, before)
    conditions, values = ["thread_id = %s"], [thread_id]
    listed: list[Any] = values
    if query.run_id is not None:
        conditions.append("run_id = %s")
        listed.append(query.run_id)
    for place, sign in ((begin, ">" if ascending else "<"), (end, "<" if ascending else ">")):
        if place is not None:
            conditions.append(f"place {sign} %s")
            listed.append(place)
    order = "ASC" if ascending else "DESC"
    statement = f"SELECT {COLUMNS} FROM jan.messages WHERE {' AND '.join(conditions)} ORDER BY place {order} LIMIT %s"
    return statement, [*listed, query.limit + 1], backwards
