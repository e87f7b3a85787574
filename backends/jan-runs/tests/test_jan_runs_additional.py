from __future__ import annotations

from typing import Any

import pytest
from jan_runs import additional
from jan_runs.notes import Notes

from jan_core.schemas.messages import Message, MessageRequest

from .conftest import Talk, scripted, text_of

pytestmark = pytest.mark.anyio


def message(thread: str, text: str) -> Message:
    return Message.of(MessageRequest(role="user", content=text), id=f"msg_{text}", thread_id=thread, created_at=1)


async def test_stored_once_however_often(talk: Talk) -> None:
    async with talk:
        await talk.say(scripted(say=["a"], hang=True))
        run = await talk.run()
        store = talk.stored._store
        async with store.changing(talk.thread, run.id) as kept:
            notes = Notes.of(kept)
            notes.additional = [message(talk.thread, "one"), message(talk.thread, "two")]
            notes.to(kept)
        for _ in range(3):
            await additional.add(talk.jan, store, kept)
        assert [text_of(one) for one in await talk.messages()][1:3] == ["one", "two"]
        after = await store.read(talk.thread, run.id)
        assert after is not None
        assert Notes.of(after).additional == []
        before = len(talk.place.writes)
        await additional.add(talk.jan, store, after)
        assert len(talk.place.writes) == before


async def test_that_all_are_there_cannot_be_stored(talk: Talk) -> None:
    """Then none is, and the run has ended."""
    async with talk:
        await talk.say(scripted(say=["a"], hang=True))
        run = await talk.run()
        store = talk.stored._store
        async with store.changing(talk.thread, run.id) as kept:
            notes = Notes.of(kept)
            notes.additional = [message(talk.thread, "one")]
            notes.to(kept)
        written = len(talk.place.writes)

        async def fail(changed: Any) -> None:
            if len(talk.place.writes) == written and not changed.run.ended:
                raise OSError(28, "no space left")

        await talk.stored._loop.__aexit__(None, None, None)
        written = len(talk.place.writes)
        store.before_write = fail  # type: ignore[attr-defined]
        with pytest.raises(OSError, match="no space left"):
            await additional.add(talk.jan, store, kept)
        assert [one.role for one in await talk.messages()][:1] == ["user"]
        assert "one" not in [text_of(one) for one in await talk.messages()]
        after = await store.read(talk.thread, run.id)
        assert after is not None
        assert after.run.status == "failed"
