from __future__ import annotations

import json
import os

import pytest

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import RunsQuery

from .conftest import THREAD, Store, kept

pytestmark = pytest.mark.anyio


async def test_what_has_not_ended_is_found_without_a_look_at_the_threads(store: Store, other: Store) -> None:
    assert await store.runs.left() == []
    runs = [kept(thread=f"jan-{number}") for number in range(3)]
    for one in runs:
        await store.runs.begin(one, None)
    assert await other.runs.left() == [(one.run.thread_id, one.run.id) for one in runs]
    async with store.runs.changing("jan-1", runs[1].run.id) as found:
        found.run.status = "cancelling"
    assert len(await other.runs.left()) == 3
    async with store.runs.changing("jan-1", runs[1].run.id) as found:
        found.run.status = "failed"
    assert [thread for thread, _ in await other.runs.left()] == ["jan-0", "jan-2"]


@pytest.mark.parametrize("broken", ["", "{", '{"run_id": 5}', '{"run_id": "../x"}'])
async def test_a_damaged_note_is_mended_from_the_runs(store: Store, other: Store, broken: str) -> None:
    for _ in range(3):
        await store.ended()
    new = kept()
    await store.runs.begin(new, None)
    (store.notes / THREAD).write_text(broken)
    with pytest.raises(InvalidRequest, match=new.run.id):
        await other.runs.begin(kept(), None)
    assert await store.runs.active(THREAD) == new
    assert await store.runs.left() == [(THREAD, new.run.id)]
    assert json.loads((store.notes / THREAD).read_text())["run_id"] == new.run.id
    (store.notes / "jan-none").write_text(broken)
    assert await store.runs.left() == [(THREAD, new.run.id)]
    assert os.listdir(store.notes) == [THREAD]


async def test_a_note_that_a_crash_left_goes_when_its_run_is_read(store: Store) -> None:
    ended = await store.ended()
    for run_id in (ended.run.id, "run_gone"):
        (store.root / "threads" / ".running").mkdir(exist_ok=True)
        (store.notes / THREAD).write_text(json.dumps({"thread_id": THREAD, "run_id": run_id}))
        assert await store.runs.active(THREAD) is None
        assert await store.runs.left() == [(THREAD, run_id)]
        await store.runs.read(THREAD, run_id)
        assert await store.runs.left() == []


async def test_a_run_that_was_copied_in_by_hand_is_noted_when_it_is_read(store: Store, other: Store) -> None:
    new = kept()
    await store.runs.begin(new, None)
    (store.notes / THREAD).unlink()
    assert await other.runs.left() == []
    assert await other.runs.read(THREAD, new.run.id) == new
    assert await other.runs.left() == [(THREAD, new.run.id)]
    copy = store.values(new.run.id)
    store.write("copy", copy)
    assert (await other.runs.read(THREAD, "copy")) is not None
    assert await other.runs.left() == [(THREAD, new.run.id)]


async def test_a_run_without_a_note_is_noted_when_it_is_listed(store: Store, other: Store) -> None:
    new = kept()
    await store.runs.begin(new, None)
    (store.notes / THREAD).unlink()
    assert [one.id for one in (await other.runs.page(THREAD, RunsQuery())).data] == [new.run.id]
    assert await other.runs.left() == [(THREAD, new.run.id)]


async def test_a_second_run_that_goes_on_waits_for_the_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    new = kept()
    await store.runs.begin(new, None)
    store.write("copy", store.values(new.run.id))
    with monkeypatch.context() as patch:
        # Whoever reads it waits for nobody who writes.
        patch.setattr(store.runs._root, "tidy", None)
        for _ in range(2):
            assert (await store.runs.read(THREAD, "copy")) is not None
            assert len((await store.runs.page(THREAD, RunsQuery())).data) == 2
    assert await store.runs.left() == [(THREAD, new.run.id)]
    await store.end(new.run.id)
    assert len((await store.runs.page(THREAD, RunsQuery())).data) == 2
    assert await store.runs.left() == [(THREAD, "copy")]


async def test_a_run_that_is_damaged_while_it_goes_on_is_told_once(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    new = kept()
    await store.runs.begin(new, None)
    good = store.file(new.run.id).read_text()
    store.write(new.run.id, "{")
    for _ in range(3):
        assert await store.runs.left() == []
    assert [one.message for one in caplog.records if new.run.id in one.message] == [
        f"the run {new.run.id} had not ended, and goes on when its file is mended: {store.file(new.run.id)}, line 1: "
        "column 2: Expecting property name enclosed in double quotes"
    ]
    store.write(new.run.id, good)
    assert await store.runs.left() == [(THREAD, new.run.id)]
