from __future__ import annotations

import asyncio

import pytest
from jan_runs_json import waiting

from .conftest import THREAD, Store, kept

pytestmark = pytest.mark.anyio


async def test_one_that_waits_is_left_out_until_it_expires_and_is_read_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1_790_000_000
    monkeypatch.setattr(waiting, "now", lambda: clock)
    new = kept(status="requires_action", expires_at=clock + 600)
    await store.runs.begin(new, None)
    async with asyncio.timeout(20):
        while await store.runs.left():  # the time of its file says for sure that nothing has changed
            await asyncio.sleep(0.01)
    reads: list[str] = []
    really = store.runs._root.files.find
    with monkeypatch.context() as patched:
        patched.setattr(
            store.runs._root.files, "find", lambda *given, **more: reads.append("") or really(*given, **more)
        )
        assert await store.runs.left() == []
    assert reads == []
    clock += 600
    assert await store.runs.left() == [(THREAD, new.run.id)]
    clock -= 600
    await store.end(new.run.id, "queued")
    assert await store.runs.left() == [(THREAD, new.run.id)]
    await store.runs.begin(kept(thread="jan-2", status="requires_action"), None)
    async with asyncio.timeout(20):
        while len(await store.runs.left()) > 1:
            await asyncio.sleep(0.01)
