"""What every store promises, held against the plain one of these tests: other tests rely on that."""

from __future__ import annotations

import asyncio

import pytest
from jan_runs.store import RunStore

from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.idempotency import Once
from jan_core.schemas.runs import KeptRun, Run, RunsQuery

from .conftest import InMemory, Place

pytestmark = pytest.mark.anyio

ONCE = Once("key", "fingerprint")


def kept(id: str = "run_1", status: str = "queued", thread_id: str = "t") -> KeptRun:
    given = {"id": id, "created_at": 1, "thread_id": thread_id, "assistant_id": "jan", "model": "m", "status": status}
    return KeptRun(run=Run.model_validate(given))


async def ended(store: RunStore, run_id: str) -> None:
    async with store.changing("t", run_id) as one:
        one.run = one.run.model_copy(update={"status": "completed"})


class TestBegin:
    async def test_a_thread_has_one_run_that_has_not_ended(self) -> None:
        store = InMemory()
        await store.begin(kept(), None)
        with pytest.raises(InvalidRequest, match="run_1") as refused:
            await store.begin(kept("run_2"), None)
        assert refused.value.code == "run_active"
        await store.begin(kept("run_3", thread_id="u"), None)
        await ended(store, "run_1")
        await store.begin(kept("run_2"), None)

    async def test_a_key_brings_the_reply_of_the_first(self) -> None:
        store = InMemory()
        await store.begin(kept(), ONCE)
        await ended(store, "run_1")
        found = await store.begin(kept("run_2"), ONCE)
        assert (found.run.id, found.run.status) == ("run_1", "queued")
        with pytest.raises(Conflict):
            await store.begin(kept("run_3"), Once("key", "another"))

    async def test_what_was_begun_is_found_by_its_key_alone(self) -> None:
        store = InMemory()
        assert await store.begun(ONCE) is None
        await store.begin(kept(), ONCE)
        await ended(store, "run_1")
        found = await store.begun(ONCE)
        assert found is not None
        assert (found.run.id, found.run.status) == ("run_1", "queued")
        with pytest.raises(Conflict):
            await store.begun(Once("key", "another"))


class TestChanging:
    async def test_one_change_after_the_other(self) -> None:
        store = InMemory()
        await store.begin(kept(), None)

        async def change(word: str) -> None:
            async with store.changing("t", "run_1") as one:
                told = one.run.metadata.get("told", "")
                await asyncio.sleep(0)
                one.run.metadata["told"] = told + word

        await asyncio.gather(*(change(word) for word in "abc"))
        found = await store.read("t", "run_1")
        assert found is not None
        assert found.run.metadata == {"told": "abc"}

    async def test_a_block_that_raises_changes_nothing(self) -> None:
        store = InMemory()
        await store.begin(kept(), None)

        async def change() -> None:
            async with store.changing("t", "run_1") as one:
                one.run.metadata["a"] = "b"
                raise KeyError

        with pytest.raises(KeyError):
            await change()
        found = await store.read("t", "run_1")
        assert found is not None
        assert found.run.metadata == {}

    async def test_what_is_not_there_cannot_be_changed(self) -> None:
        with pytest.raises(NotFound):
            async with InMemory().changing("t", "run_1"):
                pass


class TestHold:
    async def test_one_at_a_time(self) -> None:
        store = InMemory()
        async with store.hold("t", "run_1") as first, store.hold("t", "run_1") as second:
            assert (first, second) == (True, False)
        async with store.hold("t", "run_1") as third:
            assert third


class TestTheRest:
    async def test_what_is_left_is_what_has_not_ended(self) -> None:
        store = InMemory(Place())
        await store.begin(kept(), None)
        assert await store.left() == [("t", "run_1")]
        active = await store.active("t")
        assert active is not None
        await ended(store, "run_1")
        assert (await store.left(), await store.active("t")) == ([], None)
        assert [one.id for one in (await store.page("t", RunsQuery())).data] == ["run_1"]

    async def test_a_wish_is_heard(self) -> None:
        store = InMemory()
        await store.begin(kept(), None)
        waiting = asyncio.create_task(store.wished("t", "run_1"))
        await asyncio.sleep(0)
        async with store.changing("t", "run_1") as one:
            one.run = one.run.model_copy(update={"status": "cancelling"})
        await asyncio.wait_for(waiting, 5)

    async def test_so_is_that_the_run_is_gone(self) -> None:
        store = InMemory()
        await store.put(kept())
        waiting = asyncio.create_task(store.wished("t", "run_1"))
        await asyncio.sleep(0)
        await store.clear("t")
        await asyncio.wait_for(waiting, 5)
