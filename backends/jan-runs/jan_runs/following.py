"""A run that goes on, told from what is stored of it: for who listens in a process that does not carry it on.

Whoever carries it on stores what it has said about once a second, and more often where the store tells it that it is
followed. So it can be followed from anywhere, and it costs nothing where nobody does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from jan_core.errors import NotFound, Unavailable
from jan_runs import events, repeated
from jan_runs.steps import saying_of

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import KeptRun, Run, RunEvent

_Place = tuple[str, str, int]
_MORE = {"text": events.text_delta, "refusal": events.refusal_delta, "arguments": events.arguments_delta}


class Following:
    """What is told to one who listens. The story is told again and again, each time with more of it.

    Args:
        jan: gives the messages.
        run: the run.
        seconds: after its creation, when it expires.
        since: the step that was given outputs; only what came from then on is told. None for everything.
    """

    def __init__(self, jan: Jan, run: Run, *, seconds: int, since: str | None) -> None:
        self._jan, self._run, self._since = jan, run, since
        self._expires_at = run.expires_at or run.created_at + seconds
        self._messages: dict[str, Message] = {}
        self._told: set[tuple[str, str]] = set()
        self._texts: dict[_Place, str] = {}

    async def tell(
        self, look: Callable[[], Awaitable[KeptRun]], more: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[RunEvent]:
        """What happens until the run waits or has ended.

        Args:
            look: gives the run as it is stored.
            more: returns when it is time for the next look.

        Raises:
            Unavailable: see `new`.
        """
        # At once: it has begun, and whoever waits for that waits no longer.
        for event in self.new(events.created(self._run) if self._since is None else ()):
            yield event
        while True:
            kept = await look()
            await self._said(kept)
            expires_at = kept.run.expires_at or self._expires_at
            for event in self.new(repeated.story(kept, self._messages, expires_at=expires_at, since=self._since)):
                yield event
            if repeated.is_at_rest(kept.run):
                return
            await more()

    def new(self, story: Iterable[RunEvent]) -> Iterator[RunEvent]:
        """What is new in a story; of a text, what follows.

        Args:
            story: see `repeated.story`.

        Raises:
            Unavailable: a text is another one now: it was begun anew, by somebody who did not know that it was heard.
        """
        for event in story:
            if event.event.endswith(".delta"):
                yield from self._more(event)
            elif (key := (event.event, event.data.id)) not in self._told:
                self._told.add(key)
                yield event

    def _more(self, event: RunEvent) -> Iterator[RunEvent]:
        kind, index, text = events.piece_of(event)
        place = (kind, event.data.id, index)
        before = self._texts.get(place)
        if before is None:
            self._texts[place] = text
            yield event
        elif not text.startswith(before):
            raise Unavailable("The answer was begun anew meanwhile; ask for the run, and read its messages.")
        elif text != before and kind in _MORE:
            self._texts[place] = text
            yield _MORE[kind](event.data.id, index, text[len(before) :])

    async def _said(self, kept: KeptRun) -> None:
        """Look what the run has said: what is whole once, and what it is saying as it is now."""
        saying = saying_of(kept)
        for id in repeated.said_in(kept):
            if saying is not None and saying.id == id:
                self._messages[id] = saying
            elif id not in self._messages or self._messages[id].status == "in_progress":
                with suppress(NotFound):  # it was deleted since
                    self._messages[id] = await self._jan.messages.retrieve(kept.run.thread_id, id)
