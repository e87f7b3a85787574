"""The statements on `jan.assistants`. A test holds the listing to its index."""

from __future__ import annotations

from typing import Any

from jan_postgresql.replies import KEEP

from jan_assistants_postgresql.rows import COLUMNS

Place = tuple[int, str]
"""Where an assistant stands in the listing: its time and id."""

FIND = f"SELECT {COLUMNS} FROM jan.assistants WHERE id = %s"
FIND_TO_CHANGE = f"{FIND} FOR UPDATE"
CHANGE = "UPDATE jan.assistants SET fields = %s::json WHERE id = %s"
ADD = "INSERT INTO jan.assistants (id, created_at, fields) VALUES (%s, %s, %s::json) ON CONFLICT (id) DO NOTHING"
ADD_ONCE = f"""WITH kept AS ({KEEP}) INSERT INTO jan.assistants (id, created_at, fields)
    SELECT %s, %s::bigint, %s::json FROM kept"""
"""Adds an assistant and keeps the reply under a key, or does neither."""
PUT = """INSERT INTO jan.assistants (id, created_at, fields) VALUES (%s, %s, %s::json)
    ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, fields = excluded.fields"""
EXPORT = f"SELECT {COLUMNS} FROM jan.assistants WHERE id = ANY(%s)"
RESTORE = """INSERT INTO jan.assistants (id, created_at, fields)
    SELECT id, created_at, fields::json
    FROM json_to_recordset(%s::json) AS given (id text, created_at bigint, fields text)
    ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at, fields = excluded.fields"""
"""Puts assistants, all or none: `[JSON with a list of rows]`."""
DELETE = "DELETE FROM jan.assistants WHERE id = %s"
PLACE = "SELECT created_at FROM jan.assistants WHERE id = %s"


def listing(begin: Place | None, end: Place | None, *, ascending: bool, limit: int) -> tuple[str, list[Any]]:
    """The statement of a page, with one row more than its limit, and its values.

    Args:
        begin: the place that it begins behind.
        end: the place that it ends in front of.
        ascending: whether the older ones come first.
        limit: of the page.
    """
    where, values = "TRUE", list[Any]()
    for place, sign in ((begin, ">" if ascending else "<"), (end, "<" if ascending else ">")):
        if place is not None:
            where += f" AND (created_at, id) {sign} (%s, %s)"
            values += place
    order = "ASC" if ascending else "DESC"
    return (
        f"SELECT {COLUMNS} FROM jan.assistants WHERE {where} ORDER BY created_at {order}, id {order} LIMIT %s",
        [*values, limit + 1],
    )
