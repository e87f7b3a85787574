"""What was answered to requests with an `Idempotency-Key`, kept in the same transaction as what they made."""

from __future__ import annotations

import random

from jan_core.idempotency import Once
from jan_postgresql.database import Connection

KEEP = """INSERT INTO jan.replies (key, scope, fingerprint, reply) VALUES (%s, %s, %s, %s::json)
    ON CONFLICT (key) DO NOTHING RETURNING key"""
"""Notes a reply; part of the statement that makes what it tells. Without a row the key was there already: a request
that is doing the same at this moment is waited for."""
KEPT_DAYS = 2
"""Days after which a reply is forgotten."""

_SWEEP_EVERY = 500
_SWEEP = """DELETE FROM jan.replies WHERE key IN (
    SELECT key FROM jan.replies WHERE made_at < now() - make_interval(days => %s)
    ORDER BY made_at LIMIT 2000 FOR UPDATE SKIP LOCKED)"""


async def kept_reply(connection: Connection, asked: Once) -> str | None:
    """The reply that is kept under a key, as JSON; None where there is none.

    Raises:
        Conflict: the key came with another body.
    """
    query = "SELECT fingerprint, reply::text FROM jan.replies WHERE key = %s"
    row = await (await connection.execute(query, [asked.key])).fetchone()
    if row is None:
        return None
    asked.check(row[0])
    return str(row[1])


async def sweep(connection: Connection) -> None:
    """Forget some of the old replies, at one call of `_SWEEP_EVERY`; called after a reply was kept."""
    if random.randrange(_SWEEP_EVERY) == 0:
        await connection.execute(_SWEEP, [KEPT_DAYS])
