from __future__ import annotations

from typing import Any

import pytest
from jan_runs import states
from jan_runs.feed import Feed
from jan_runs.interrupt import Interrupt, Interrupted
from jan_runs.record import EndedElsewhere, NotStored, Record

from jan_core.errors import NotFound, TooLarge
from jan_core.schemas.runs import KeptRun, Run

from .conftest import InMemory, Talk, names

pytestmark = pytest.mark.anyio


async def recorded(talk: Talk, status: str = "in_progress") -> tuple[Record, InMemory, Any]:
    """The record of a run with this status, where it is kept, and who listens."""
    store, feed = InMemory(talk.place), Feed()
    given = {"id": "run_1", "created_at": 1, "thread_id": "t", "assistant_id": "jan", "model": "m", "status": status}
    kept = KeptRun(run=Run.model_validate(given))
    await store.put(kept)
    return Record(talk.jan, store, kept, feed, Interrupt()), store, feed.listen()


def told(listener: Any) -> list[str]:
    return names(list(listener._waiting))


class TestChange:
    async def test_what_others_cancel_is_told_once_and_stops(self, talk: Talk) -> None:
        record, _, listener = await recorded(talk, "cancelling")
        for _ in range(2):
            with pytest.raises(Interrupted):
                await record.change(lambda kept: [])
        assert told(listener) == ["thread.run.cancelling"]

    async def test_what_somebody_ended_stays_as_it_is(self, talk: Talk) -> None:
        record, store, _ = await recorded(talk)
        async with store.changing("t", "run_1") as kept:
            kept.run = states.gone(kept.run, "completed")
        with pytest.raises(EndedElsewhere):
            await record.change(lambda kept: [], last=True)
        assert record.kept.run.status == "completed"

    async def test_what_is_gone_says_so(self, talk: Talk) -> None:
        record, store, _ = await recorded(talk)
        await store.clear("t")
        with pytest.raises(NotFound):
            await record.change(lambda kept: [])

    @pytest.mark.parametrize(("why", "refused"), [(OSError("full"), False), (TooLarge("16 MiB"), True)])
    async def test_what_is_refused_would_be_refused_again(self, talk: Talk, why: Exception, refused: bool) -> None:
        record, store, _ = await recorded(talk)

        async def fail(kept: KeptRun) -> None:
            raise why

        def edit(kept: KeptRun) -> list[Any]:
            kept.request = {"x": 1}
            return []

        store.before_write = fail
        with pytest.raises(NotStored) as caught:
            await record.change(edit)
        assert caught.value.refused is refused


class TestLasting:
    async def test_it_lasts_when_it_was_flushed_by_whatever(self, talk: Talk) -> None:
        record, store, _ = await recorded(talk)
        assert record.lasting

        def edit(kept: KeptRun) -> list[Any]:
            kept.request = {"x": len(talk.place.writes)}
            return []

        await record.change(edit, flush=False)
        assert not record.lasting
        record.keep_soon(lambda kept: kept.request.update(y=1))
        record.keep_soon(lambda kept: kept.request.update(y=2))  # the first is not over
        await record.settled()
        assert record.lasting
        assert talk.place.writes[-1] == ("in_progress", True)
        found = await store.read("t", "run_1")
        assert found is not None
        assert found.request["y"] == 1
        record.keep_soon(lambda kept: kept.request.update(y=3))
        await record.settled()
        assert record.lasting
        assert talk.place.writes[-1] == ("in_progress", False)
