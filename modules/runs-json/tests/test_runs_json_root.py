from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from jan_runs_json.root import RunRoot

from jan_core.errors import Conflict, InvalidRequest
from jan_core.folder.calls import DISK
from jan_core.idempotency import Once

from .conftest import THREAD, Store, kept

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("asked", [None, Once("a" * 32, "b" * 32)])
async def test_a_run_gets_its_name_when_its_note_and_its_key_are_on_the_disk(
    store: Store, monkeypatch: pytest.MonkeyPatch, asked: Once | None
) -> None:
    await store.ended()
    done: list[str] = []

    def seen(name: str, which: int) -> None:
        real = getattr(DISK, name)

        def call(*given: Any) -> None:
            real(*given)
            done.append(f"{name} {os.path.relpath(str(given[which]), store.root)}" if name != "sync" else name)

        monkeypatch.setattr(DISK, name, call)

    for name, which in (("sync", 0), ("sync_folder", 0), ("replace", 1)):
        seen(name, which)
    new = kept()
    await store.runs.begin(new, asked)
    named = done.index(f"replace threads/{THREAD}/runs/{new.run.id}.json")
    assert done.index("sync_folder threads/.running") < named
    assert done[named + 1 :] == [f"sync_folder threads/{THREAD}/runs"]
    flushed = [one for one in done[:named] if one.startswith("sync")]
    if asked is None:
        assert sorted(flushed) == ["sync", "sync_folder threads", "sync_folder threads/.running"]
    else:
        assert flushed.count("sync") == 2
        assert [one for one in flushed if one.startswith("sync_folder .idempotency/")]
    done.clear()
    await store.end(new.run.id)
    await store.runs.begin(kept(), None)
    # Of a further run, two can be under way at a time, and one comes after them.
    begun = [one for one in done if one.startswith("sync")]
    assert sorted(begun[2:4]) == ["sync", "sync_folder threads/.running"]
    assert begun[4:] == [f"sync_folder threads/{THREAD}/runs"]


async def test_begun_once_under_a_key(store: Store, other: Store) -> None:
    asked, new = Once("a" * 32, "b" * 32), kept()
    assert await store.runs.begin(new, asked) == new
    assert (await other.runs.begin(kept(), asked)).run == new.run
    with pytest.raises(Conflict):  # before the run that goes on
        await store.runs.begin(kept(), Once("a" * 32, "c" * 32))
    await store.end(new.run.id)
    assert (await other.runs.begin(kept(), asked)).run == new.run
    await store.runs.clear(THREAD)
    fresh = kept()
    assert (await store.runs.begin(fresh, asked)).run.id == fresh.run.id


async def test_an_attempt_that_was_refused_leaves_its_key_free(store: Store) -> None:
    first, asked = kept(), Once("a" * 32, "b" * 32)
    await store.runs.begin(first, None)
    with pytest.raises(InvalidRequest):
        await store.runs.begin(kept(), asked)
    await store.end(first.run.id)
    second = kept()
    assert (await store.runs.begin(second, asked)).run.id == second.run.id


async def test_what_was_begun_is_found_by_its_key_alone(store: Store, other: Store) -> None:
    asked, new = Once("a" * 32, "b" * 32), kept()
    assert await store.runs.begun(asked) is None
    await store.runs.begin(new, asked)
    await store.end(new.run.id)
    for one in (store, other):
        found = await one.runs.begun(asked)
        assert found is not None
        assert found.run == new.run
        with pytest.raises(Conflict):
            await one.runs.begun(Once("a" * 32, "c" * 32))
    await store.runs.clear(THREAD)
    assert await other.runs.begun(asked) is None


async def test_a_run_is_changed_without_waiting_where_its_lock_is_free(
    store: Store, other: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[bool] = []
    enter = RunRoot.enter

    def seen(self: RunRoot, *given: Any, at_once: bool = False) -> Any:
        entered.append(at_once)
        return enter(self, *given, at_once=at_once)

    async def change(of: Store, value: int) -> None:
        async with of.runs.changing(THREAD, new.run.id) as found:
            found.request = {"a": value}

    monkeypatch.setattr(RunRoot, "enter", seen)
    monkeypatch.setattr(DISK, "read_at_once", DISK.read)  # also where the system cannot tell whether that waits
    new = await store.runs.begin(kept(), None)
    async with store.runs.changing(THREAD, new.run.id) as found:
        late = asyncio.create_task(change(other, 3))
        while len(entered) < 3:
            await asyncio.sleep(0.01)
        found.request = {"a": 2}
    await late
    assert entered == [True, True, False]  # the other one tried, and then waited in a thread
    await change(store, 4)
    assert entered == [True, True, False, True]
    read = await other.runs.read(THREAD, new.run.id)
    assert read is not None
    assert read.request == {"a": 4}


async def test_a_run_that_is_withdrawn_was_never_begun(store: Store, other: Store) -> None:
    asked, new = Once("a" * 32, "b" * 32), kept()
    await store.runs.begin(new, asked)
    heard = asyncio.create_task(store.runs.wished(THREAD, new.run.id))
    await asyncio.sleep(0)
    await store.runs.withdraw(THREAD, new.run.id)
    async with asyncio.timeout(20):
        await heard
    for one in (store, other):
        assert await one.runs.read(THREAD, new.run.id) is None
        assert await one.runs.left() == []
        assert await one.runs.begun(asked) is None
    assert os.listdir(store.notes) == []
    again = kept()
    assert (await other.runs.begin(again, asked)).run.id == again.run.id
    assert (await store.runs.begin(kept(), asked)).run == again.run
    await store.runs.withdraw(THREAD, new.run.id)  # nothing, and the other one stays
    assert await store.runs.left() == [(THREAD, again.run.id)]
