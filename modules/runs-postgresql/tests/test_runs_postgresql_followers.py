from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from jan_runs_postgresql import followers
from jan_runs_postgresql.store import RunsPostgresql

from .conftest import THREAD, kept

pytestmark = pytest.mark.anyio


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def held(store: RunsPostgresql) -> Any:
    """A run that goes on here, whose server hears others."""
    new = await store.begin(kept(), None)
    wished = asyncio.create_task(store.wished(THREAD, new.run.id))
    await until(lambda: store._database.listening.hears)
    return new.run.id, wished


async def test_who_carries_a_run_on_hears_that_it_is_followed(store: RunsPostgresql, other: RunsPostgresql) -> None:
    run, wished = await held(store)
    assert not store.is_followed(THREAD, run)
    async with other.following(THREAD, run):
        await until(lambda: store.is_followed(THREAD, run))
        assert not store.is_followed(THREAD, "run_other")
    wished.cancel()


async def test_who_follows_hears_of_each_change(
    store: RunsPostgresql, other: RunsPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "LOOK_HEARING", 60.0)
    run, wished = await held(store)
    async with other.following(THREAD, run) as more, other.following(THREAD, run) as second:
        await until(lambda: store.is_followed(THREAD, run) and other._database.listening.hears)
        for number in range(5):
            async with store.changing(THREAD, run, flush=False) as found:
                found.request = {"n": number}
            async with asyncio.timeout(20):
                await more()
                await second()
        async with store.changing(THREAD, run):
            pass  # nothing was changed, and nothing is said
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await more()
    wished.cancel()


async def test_a_run_that_nobody_follows_is_not_told_of(store: RunsPostgresql, other: RunsPostgresql) -> None:
    run, wished = await held(store)
    heard: list[str | None] = []
    other._database.listening.on(heard.append)
    await until(lambda: heard == [None])
    async with store.changing(THREAD, run) as found:
        found.request = {"n": 1}
    async with other.changing(THREAD, run) as found:
        found.run.status = "cancelling"
    await until(lambda: len(heard) > 1)
    assert heard == [None, f"run.cancel {THREAD}/{run}"]
    async with asyncio.timeout(20):
        await wished


async def test_it_goes_for_a_while_only(store: RunsPostgresql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "LASTS_SECONDS", 0.05)
    one = followers.Followers(store._database)
    one.followed((THREAD, "run_1"))
    assert one.are_there((THREAD, "run_1"))
    await until(lambda: not one.are_there((THREAD, "run_1")))
    one.followed((THREAD, "run_2"))
    assert len(one._until) == 1


async def test_without_a_word_it_looks_all_the_same(store: RunsPostgresql) -> None:
    async with followers.Followers(store._database).following((THREAD, "run_1")) as more:
        for _ in range(3):
            async with asyncio.timeout(20):
                await more()
