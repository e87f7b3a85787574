from __future__ import annotations

import asyncio
from time import time

import psycopg
import pytest
from jan_runs_postgresql.store import RunsPostgresql

from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.idempotency import Once
from jan_core.schemas.runs import RunsQuery

from .conftest import THREAD, kept, step

pytestmark = pytest.mark.anyio

ONCE = Once("a" * 32, "b" * 32)


async def write(dsn: str, query: str, *values: object) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(query.encode(), values)


async def test_of_many_that_begin_at_once_on_two_servers_one_does(store: RunsPostgresql, other: RunsPostgresql) -> None:
    runs = [kept() for _ in range(16)]
    begun = [(store, other)[number % 2].begin(run, None) for number, run in enumerate(runs)]
    found = await asyncio.gather(*begun, return_exceptions=True)
    won = [one for one in found if not isinstance(one, BaseException)]
    assert len(won) == 1
    active = await other.active(THREAD)
    assert active is not None
    assert active.run == won[0].run
    refused = [one for one in found if isinstance(one, InvalidRequest)]
    assert len(refused) == 15
    assert {one.code for one in refused} == {"run_active"}
    assert all(active.run.id in one.message for one in refused)


async def test_of_many_under_one_key_one_is_begun(store: RunsPostgresql, other: RunsPostgresql) -> None:
    found = await asyncio.gather(*((store, other)[number % 2].begin(kept(), ONCE) for number in range(10)))
    assert len({one.run.id for one in found}) == 1
    with pytest.raises(Conflict):
        await store.begin(kept(), Once(ONCE.key, "c" * 32))
    begun = await other.begun(ONCE)
    assert begun is not None
    assert begun.run.id == found[0].run.id
    await store.withdraw(THREAD, begun.run.id)
    assert await other.begun(ONCE) is None
    new = kept()
    assert (await store.begin(new, ONCE)).run.id == new.run.id
    await other.clear(THREAD)
    assert await store.begun(ONCE) is None
    assert await store.read(THREAD, new.run.id) is None


@pytest.mark.parametrize("flush", [True, False])
async def test_changes_of_two_servers_come_one_after_another(
    store: RunsPostgresql, other: RunsPostgresql, flush: bool
) -> None:
    new = await store.begin(kept(), None)

    async def count(at: RunsPostgresql) -> None:
        for _ in range(15):
            async with at.changing(THREAD, new.run.id, flush=flush) as found:
                found.request["a"] = [found.request["a"][0] + 1]
                found.steps.append(step(found, f"step_{len(found.steps)}"))

    await asyncio.gather(count(store), count(other), count(store))
    found = await other.read(THREAD, new.run.id)
    assert found is not None
    assert (found.request, len(found.steps)) == ({"a": [46]}, 45)


async def test_a_change_that_raises_or_is_cancelled_leaves_it(store: RunsPostgresql) -> None:
    new = await store.begin(kept(), None)

    async def fail() -> None:
        async with store.changing(THREAD, new.run.id) as found:
            found.run.status = "failed"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    entered = asyncio.Event()

    async def wait() -> None:
        async with store.changing(THREAD, new.run.id) as found:
            found.run.status = "failed"
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(wait())
    await entered.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await store.read(THREAD, new.run.id) == new
    with pytest.raises(NotFound):
        async with store.changing(THREAD, "run_none"):
            raise AssertionError


async def test_a_change_that_loses_its_connection_is_made_once(store: RunsPostgresql, dsn: str) -> None:
    new = await store.begin(kept(), None)
    async with store.changing(THREAD, new.run.id) as found:
        found.run.status = "in_progress"
        # Terminated while the row is locked; the change is begun anew.
        busy = "application_name = 'jan' AND state <> 'idle'"
        await write(dsn, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {busy}")
    stored = await store.read(THREAD, new.run.id)
    assert stored is not None
    assert stored.run.status == "in_progress"


async def test_a_wish_that_another_server_stored_is_heard(store: RunsPostgresql, other: RunsPostgresql) -> None:
    new, second = await store.begin(kept(), None), await store.begin(kept(thread="jan-2"), None)
    heard = [asyncio.create_task(store.wished(one.run.thread_id, one.run.id)) for one in (new, second)]
    await asyncio.sleep(0.3)
    async with other.changing(THREAD, new.run.id) as found:
        found.run.status = "cancelling"
    async with asyncio.timeout(10):
        await heard[0]
    assert not heard[1].done()
    await other.clear("jan-2")
    async with asyncio.timeout(10):
        await heard[1]


async def test_every_character_is_kept(store: RunsPostgresql) -> None:
    text = "\0a\u2028\U0001f600'\"\\"
    new = kept(instructions=text, metadata={"a\0": text})
    new.request = {text: [text]}
    await store.begin(new, ONCE)
    assert await store.read(THREAD, new.run.id) == new
    assert (await store.page(THREAD, RunsQuery())).data == [new.run]
    begun = await store.begun(ONCE)
    assert begun is not None
    assert begun.run == new.run


async def test_a_row_that_somebody_wrote_into_costs_itself_alone(store: RunsPostgresql, dsn: str) -> None:
    old, new = kept("run_1", status="completed"), kept("run_2")
    await store.put(old)
    await store.begin(new, None)
    await write(dsn, """UPDATE jan.runs SET run = '{"id": 5}' WHERE id = 'run_2'""")
    with pytest.raises(InvalidRequest) as refused:
        await store.read(THREAD, new.run.id)
    assert refused.value.code == "damaged_row"
    assert await store.active(THREAD) is None
    assert (await store.page(THREAD, RunsQuery())).data == [old.run]


async def test_one_that_waits_is_left_out_until_it_expires(store: RunsPostgresql) -> None:
    later, over = (kept(thread=thread, status="requires_action") for thread in ("jan-1", "jan-2"))
    later.run.expires_at, over.run.expires_at = int(time()) + 600, int(time()) - 1
    for one in (later, over):
        await store.begin(one, None)
        async with store.hold(one.run.thread_id, one.run.id):
            assert await store.left() == []
    assert await store.left() == [("jan-2", over.run.id)]


async def test_ids_that_can_be_none_are_refused(store: RunsPostgresql) -> None:
    for ids in (("a\0", "run_1"), (THREAD, "../x")):
        with pytest.raises(InvalidRequest):
            await store.read(*ids)
        with pytest.raises(InvalidRequest):
            store.hold(*ids)
    with pytest.raises(InvalidRequest):
        await store.page(THREAD, RunsQuery(after="\0"))
