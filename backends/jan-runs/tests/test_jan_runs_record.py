from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from jan_runs import events, states
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


def notes(name: str, kept: KeptRun) -> list[Any]:
    """Note something with a run; the event of it is the run as it is then."""
    kept.request = {**kept.request, name: len(kept.request)}
    return [events.of_run(kept.run.model_copy(update={"instructions": name}))]


def heard(listener: Any) -> list[str]:
    return [one.data.instructions for one in listener._waiting]


class TestSoon:
    async def test_it_is_one_write_with_the_next_change_and_comes_first(self, talk: Talk) -> None:
        record, store, listener = await recorded(talk)
        first = notes("first", record.kept.model_copy(deep=True))
        record.change_soon(partial(notes, "soon"), first=first)
        await record.going_on()
        assert talk.place.writes[1:] == []
        assert heard(listener) == []
        await record.change(partial(notes, "next"), flush=False)
        assert talk.place.writes[1:] == [("in_progress", True)]  # what it came of has to last
        assert heard(listener) == ["first", "soon", "next"]
        found = await store.read("t", "run_1")
        assert found is not None
        assert found.request == {"soon": 0, "next": 1}
        await record.change(partial(notes, "later"), flush=False)
        assert talk.place.writes[2:] == [("in_progress", False)]

    async def test_where_nothing_comes_it_is_stored_by_itself(self, talk: Talk) -> None:
        record, store, listener = await recorded(talk)
        record.change_soon(partial(notes, "soon"))
        async with asyncio.timeout(20), store.place.changed:
            await store.place.changed.wait_for(lambda: len(talk.place.writes) > 1)
        await record.going_on()
        assert heard(listener) == ["soon"]
        await record.rest()
        assert len(talk.place.writes) == 2

    async def test_what_comes_to_its_end_stores_it_at_once(self, talk: Talk) -> None:
        record, _, listener = await recorded(talk)
        record.change_soon(partial(notes, "soon"))
        await record.rest()
        assert heard(listener) == ["soon"]
        assert talk.place.writes[1:] == [("in_progress", True)]
        await record.rest()
        assert len(talk.place.writes) == 2

    async def test_who_cancels_meanwhile_does_not_lose_it(self, talk: Talk) -> None:
        record, store, listener = await recorded(talk)
        record.change_soon(partial(notes, "soon"))
        async with store.changing("t", "run_1") as kept:
            kept.run = states.gone(kept.run, "cancelling")
        await record.going_on()
        with pytest.raises(Interrupted):
            await record.change(partial(notes, "next"))
        await record.change(partial(notes, "end"), last=True)
        assert heard(listener)[1:] == ["soon", "end"]

    async def test_what_is_not_stored_by_itself_is_told_to_who_goes_on(self, talk: Talk) -> None:
        record, store, listener = await recorded(talk)
        tried = asyncio.Event()

        async def fail(kept: KeptRun) -> None:
            tried.set()
            raise OSError("full")

        store.before_write = fail
        record.change_soon(partial(notes, "soon"))
        async with asyncio.timeout(20):
            await tried.wait()
        with pytest.raises(NotStored):
            await record.going_on()
        assert heard(listener) == []
