from __future__ import annotations

import pytest
from jan_postgresql import replies
from jan_postgresql.backend import Postgresql
from jan_postgresql.database import Connection
from jan_postgresql.replies import KEEP, kept_reply, sweep

from jan_core.errors import Conflict
from jan_core.idempotency import Once

pytestmark = pytest.mark.anyio


async def test_a_reply_is_kept_under_its_key(backend: Postgresql) -> None:
    async def work(connection: Connection) -> None:
        for number in range(2):
            kept = await connection.execute(KEEP, ["k", "", "f", f'{{"number": {number}}}'])
            assert kept.rowcount == 1 - number
        assert await kept_reply(connection, Once("k", "f")) == '{"number": 0}'
        assert await kept_reply(connection, Once("l", "f")) is None
        with pytest.raises(Conflict):
            await kept_reply(connection, Once("k", "g"))

    await backend.do(work)


async def test_old_ones_are_forgotten_and_no_others(backend: Postgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "_SWEEP_EVERY", 1)

    async def work(connection: Connection) -> list[object]:
        for key, days in (("old", 3), ("day", 1)):
            await connection.execute(KEEP, [key, "", "f", "{}"])
            query = "UPDATE jan.replies SET made_at = now() - make_interval(days => %s) WHERE key = %s"
            await connection.execute(query, [days, key])
        await sweep(connection)
        return list(await (await connection.execute("SELECT key FROM jan.replies")).fetchall())

    assert await backend.do(work) == [("day",)]
