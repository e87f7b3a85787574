"""The calls of tools that an answer asks for, collected piece by piece, and told once they are stored as begun."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jan_core.ids import new_id
from jan_runs import events
from jan_runs.feed import Feed
from jan_runs.notes import NotedCall

if TYPE_CHECKING:
    from jan_core.schemas.chat.reply import ToolCallDelta
    from jan_core.schemas.runs import RunEvent


class Calling:
    """The calls of one answer, in the making.

    Args:
        step_id: the step that they belong to.
        feed: where their pieces go.
        taken: ids that calls of this run have already.

    Attributes:
        step_id: the step that they belong to.
        told: whether pieces are told as they come; before, `events` has them.
    """

    def __init__(self, step_id: str, feed: Feed, taken: Iterable[str]) -> None:
        self.step_id = step_id
        self.told = False
        self._feed = feed
        self._taken = set(taken)
        self._calls: dict[int, tuple[str, str, list[str]]] = {}

    def take(self, pieces: Iterable[ToolCallDelta]) -> None:
        """Take what is new of the calls."""
        for piece in pieces:
            name = (piece.function.name if piece.function is not None else None) or ""
            text = (piece.function.arguments if piece.function is not None else None) or ""
            call = self._calls.get(piece.index)
            if call is None:
                id = piece.id if piece.id and piece.id not in self._taken else new_id("call_")
                self._taken.add(id)
                call = self._calls[piece.index] = (id, name, [])
                place = len(self._calls) - 1
                if self.told:
                    self._feed.publish(events.call_delta(self.step_id, place, id, name))
            else:
                place = list(self._calls).index(piece.index)
            if text:
                call[2].append(text)
                if self.told:
                    self._feed.say("arguments", self.step_id, place, text)

    def events(self) -> list[RunEvent]:
        """What tells of all that was taken so far; from now on pieces are told as they come."""
        self.told = True
        found = []
        for place, (id, name, texts) in enumerate(self._calls.values()):
            found.append(events.call_delta(self.step_id, place, id, name))
            if texts:
                found.append(events.arguments_delta(self.step_id, place, "".join(texts)))
        return found

    def calls(self) -> list[NotedCall]:
        """The calls as they are now, in the order in which they began."""
        return [NotedCall(id=id, name=name, arguments="".join(texts)) for id, name, texts in self._calls.values()]
