from __future__ import annotations

import pytest
from jan_runs.feed import Feed
from jan_runs.saying import Saying, ended

from jan_core.schemas.runs import Run

RUN = Run(id="run_1", created_at=1, thread_id="t", assistant_id="jan", model="m")

pytestmark = pytest.mark.anyio


class TestSaying:
    def test_it_begins_without_content(self) -> None:
        begun = Saying(RUN, Feed()).begun
        assert (begun.status, begun.content, begun.role) == ("in_progress", [], "assistant")
        assert (begun.run_id, begun.assistant_id, begun.thread_id) == ("run_1", "jan", "t")

    def test_pieces_add_up(self) -> None:
        saying = Saying(RUN, Feed())
        for text in ("Hel", "lo"):
            saying.say("text", text)
        assert saying.text == "Hello"
        assert [part.text.value for part in saying.message().content] == ["Hello"]  # type: ignore[union-attr]
        assert saying.begun.content == []

    def test_a_refusal_is_a_part_of_its_own(self) -> None:
        saying = Saying(RUN, Feed())
        saying.say("text", "Well. ")
        saying.say("refusal", "I will ")
        saying.say("refusal", "not.")
        assert [part.type for part in saying.message().content] == ["text", "refusal"]
        assert saying.message().content[1].refusal == "I will not."  # type: ignore[union-attr]

    async def test_the_deltas_say_which_part_they_are_of(self) -> None:
        feed = Feed()
        listener = feed.listen()
        saying = Saying(RUN, feed)
        for kind, text in (("text", "a"), ("text", "b"), ("refusal", "c"), ("refusal", "d")):
            saying.say(kind, text)
        feed.close()
        parts = [event.data.delta.content[0] async for event in listener]
        assert [(one.index, one.type) for one in parts] == [(0, "text")] * 2 + [(1, "refusal")] * 2

    def test_what_is_taken_up_again_goes_on_where_it_was(self) -> None:
        saying = Saying(RUN, Feed())
        saying.say("text", "a")
        saying.say("refusal", "b")
        again = Saying(RUN, Feed(), saying.message())
        again.restore(saying.message())
        assert again.message() == saying.message()


class TestEnded:
    def test_whole(self) -> None:
        found = ended(Saying(RUN, Feed()).message())
        assert (found.status, found.completed_at is not None, found.incomplete_at) == ("completed", True, None)

    def test_broken_off(self) -> None:
        found = ended(Saying(RUN, Feed()).message(), "run_cancelled")
        assert (found.status, found.completed_at, found.incomplete_at is not None) == ("incomplete", None, True)
        assert found.incomplete_details is not None
        assert found.incomplete_details.reason == "run_cancelled"
