"""Runs that are refused, or cannot begin: what is left of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jan_core.errors import Busy, InvalidRequest, JanError, Unavailable
from jan_core.hookspecs import hookimpl
from jan_core.schemas.runs import RunsQuery, ThreadRunRequest
from jan_core.schemas.threads import ThreadsQuery
from tests.conversations import under
from tests.parts import part, until

from .conftest import Talk, scripted, text_of

pytestmark = pytest.mark.anyio


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


async def threads(talk: Talk) -> list[str]:
    return [one.id for one in (await talk.jan.threads.list(ThreadsQuery())).data]


async def test_additional_messages_of_a_run_that_is_refused_are_not_there(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(say=["a"], hang=True))
        run = await talk.run()
        with pytest.raises(InvalidRequest) as refused:
            await talk.run(additional_messages=[user("no")])
        assert refused.value.code == "run_active"
        for wrong in ({"assistant_id": "asst_none"}, {"tool_choice": "required"}):
            with pytest.raises(JanError):
                await talk.run(**wrong, additional_messages=[user("no")])
        await until(lambda: talk.stored._loop.saying(run.id) is not None)
        await talk.jan.runs.cancel(talk.thread, run.id)
        await talk.end(run)
        assert [one.role for one in await talk.messages()] == ["user", "assistant"]


async def test_additional_messages_that_cannot_be_stored_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(proceed: Any, message: Any) -> Any:
        if text_of(message) == "full":
            raise Unavailable("The disk is full.")
        return await proceed(message)

    plugin = part(monkeypatch, "full", wrap_messages=hookimpl(lambda settings, jan: {"put": refuse}))
    async with Talk(tmp_path, plugins={"full": plugin}) as talk:
        await talk.say("first")
        with pytest.raises(Unavailable):
            await talk.run(additional_messages=[user("second"), user("full")])
        assert [text_of(one) for one in await talk.messages()] == ["first"]
        assert talk.place.runs[talk.thread] == {}
        assert (await talk.end(await talk.run())).status == "completed"


async def test_a_refused_run_begins_anew_when_it_is_asked_for_again(talk: Talk) -> None:
    async with talk:
        await talk.say("first")
        really, more = talk.jan.messages.put, {"additional_messages": [user("second")]}

        async def refuse(message: Any) -> None:
            raise Unavailable("The disk is full.")

        talk.jan.messages.put = refuse
        for _ in range(2):
            with pytest.raises(Unavailable):
                await under("key", lambda: talk.run(**more))
        talk.jan.messages.put = really
        run = await under("key", lambda: talk.run(**more))
        assert (await talk.end(run)).status == "completed"
        assert [text_of(one) for one in await talk.messages()] == ["first", "second", "second "]


async def test_a_look_that_fails_after_the_run_was_stored_leaves_the_thread_free(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(thread_id: str) -> None:
        if talk.place.runs.get(thread_id):
            raise OSError(5, "the disk fails")

    async with talk:
        await talk.say("first")
        with monkeypatch.context() as patched:
            patched.setattr(talk.jan.threads, "check", check)
            with pytest.raises(OSError, match="the disk fails"):
                await talk.run(additional_messages=[user("second")])
        assert talk.place.runs[talk.thread] == {}
        assert (await talk.end(await talk.run())).status == "completed"


async def test_a_run_that_cannot_be_removed_either_is_told(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    async with talk:
        await talk.say("first")

        async def fails(*given: Any) -> None:
            raise OSError(5, "the disk fails")

        talk.jan.messages.put = fails
        talk.stored._store.withdraw = fails  # type: ignore[method-assign]
        with pytest.raises(OSError, match="the disk fails"):
            await talk.run(additional_messages=[user("second")])
        (run,) = talk.place.runs[talk.thread]
        assert f"the run {run} was not begun, and may have stayed" in caplog.text
        assert (await talk.end(run)).status == "failed"


async def test_a_new_thread_goes_where_its_run_cannot_be_stored(talk: Talk) -> None:
    async with talk:

        async def refuse(kept: Any) -> None:
            raise Unavailable("The disk is full.")

        talk.stored._store.before_write = refuse  # type: ignore[attr-defined]
        body = ThreadRunRequest.model_validate({"assistant_id": "jan", "thread": {"messages": [user("hello")]}})
        with pytest.raises(Unavailable):
            await talk.jan.runs.create_thread(body)
        assert await threads(talk) == []

        async def fail(kept: Any) -> None:
            raise OSError(28, "no space left")

        talk.stored._store.before_write = fail  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="no space left"):
            await talk.jan.runs.create_thread(body)
        assert await threads(talk) == []
        talk.stored._store.before_write = refuse  # type: ignore[attr-defined]
        with pytest.raises(Unavailable):
            await under("key", lambda: talk.jan.runs.create_thread(body))
        (thread,) = await threads(talk)
        talk.stored._store.before_write = None  # type: ignore[attr-defined]
        run = await under("key", lambda: talk.jan.runs.create_thread(body))
        assert run.thread_id == thread
        assert await threads(talk) == [thread]


async def test_more_runs_than_may_go_on_are_refused_and_leave_nothing(talk: Talk) -> None:
    async with talk:
        threads = [await talk.say({"wait": 60}) for _ in range(3)]
        talk.stored._most_at_once = 2
        first, second = [await talk.jan.runs.create(thread, talk.request()) for thread in threads[:2]]
        with pytest.raises(Busy) as refused:
            await talk.jan.runs.create(threads[2], talk.request())
        assert int(refused.value.headers["Retry-After"]) > 0
        before = (await talk.jan.threads.list(ThreadsQuery())).data
        with pytest.raises(Busy):
            await talk.jan.runs.create_thread(ThreadRunRequest.model_validate({"assistant_id": "jan"}))
        assert (await talk.jan.threads.list(ThreadsQuery())).data == before
        assert (await talk.jan.runs.list(threads[2], RunsQuery())).data == []
        for thread, run in zip(threads, (first, second), strict=False):
            talk.thread = thread
            await talk.jan.runs.cancel(thread, run.id)
            await talk.end(run)
        talk.thread = threads[2]
        third = await talk.jan.runs.create(threads[2], talk.request())
        await talk.jan.runs.cancel(threads[2], third.id)
        await talk.end(third)
