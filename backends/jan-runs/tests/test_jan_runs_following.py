"""What is told of a run that goes on, from what is stored of it now and then."""

from __future__ import annotations

from typing import Any

import pytest
from jan_runs import repeated
from jan_runs.following import Following

from jan_core.errors import Unavailable
from jan_core.schemas.runs import RunEvent
from jan_core.testing.contract.run_grammar import story

from .conftest import Talk, scripted

pytestmark = pytest.mark.anyio


async def stories(talk: Talk) -> tuple[Any, list[list[RunEvent]]]:
    """A run that said something, and its story after more and more of its text."""
    await talk.say(scripted(say=["one ", "two ", "three"]))
    run = story(await talk.events()).run
    kept = await talk.jan.runs.kept(talk.thread, run["id"])
    (id,) = repeated.said_in(kept)
    whole = await talk.jan.messages.retrieve(talk.thread, id)
    found = []
    for length in (0, 4, 4, 8):
        saying = whole.model_copy(deep=True, update={"status": "in_progress", "completed_at": None})
        saying.content[0].text.value = "one two three"[:length]  # type: ignore[union-attr]
        going = kept.model_copy(deep=True)
        update = {"status": "in_progress", "completed_at": None, "usage": None}
        going.run = kept.run.model_copy(update=update)
        going.steps = [step.model_copy(update=update) for step in kept.steps]
        found.append(list(repeated.story(going, {id: saying}, expires_at=5)))
    found.append(list(repeated.story(kept, {id: whole}, expires_at=5)))
    return kept.run, found


def following(talk: Talk, run: Any) -> Following:
    return Following(talk.jan, run, seconds=600, since=None)


async def test_each_time_what_is_new(talk: Talk) -> None:
    async with talk:
        run, found = await stories(talk)
        one = following(talk, run)
        told = [list(one.new(each)) for each in found]
        assert [event.event for event in told[1]] == ["thread.message.delta"]
        assert told[2] == []
        assert [event.event for event in told[3]] == ["thread.message.delta"]
        whole = story([event for each in told for event in each])
        assert whole.run["status"] == "completed"
        (message,) = whole.messages.values()
        assert message["content"][0]["text"]["value"] == "one two three"


async def test_a_text_that_is_begun_anew_breaks_off(talk: Talk) -> None:
    async with talk:
        run, found = await stories(talk)
        one = following(talk, run)
        list(one.new(found[3]))
        with pytest.raises(Unavailable, match="anew"):
            list(one.new(found[1]))
