"""What happens in a run, for whoever listens.

Text comes in many small pieces, and most of what a run costs is spent on them. So a piece is no event until somebody
takes it: without a listener it costs nothing. A listener that falls behind gets its pieces joined, so that it holds as
much as the text is long, however many pieces there were, and nothing is lost; nobody ever waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from jan_runs.events import arguments_delta, of_run, refusal_delta, text_delta

if TYPE_CHECKING:
    from jan_core.schemas.runs import Run, RunEvent

LAG = 4096
"""Events that may wait for a listener before its pieces are joined."""


@dataclass(slots=True, eq=False)
class Piece:
    """More of a text, before it is an event.

    Attributes:
        kind: `text`, `refusal` or `arguments`.
        id: the message's id, or the step's.
        index: which part of the message, or which call of the step.
        texts: what follows.
    """

    kind: str
    id: str
    index: int
    texts: list[str]

    def event(self) -> RunEvent:
        """The event that it is."""
        text = self.texts[0] if len(self.texts) == 1 else "".join(self.texts)
        if self.kind == "text":
            return text_delta(self.id, self.index, text)
        return (refusal_delta if self.kind == "refusal" else arguments_delta)(self.id, self.index, text)


class Listener(AsyncIterator["RunEvent"]):
    """The events of a feed from where it was made on, until the feed is closed. One task reads it."""

    def __init__(self, feed: Feed) -> None:
        self._feed: Feed | None = feed
        self._waiting: deque[RunEvent | Piece] = deque()
        self._woken: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> RunEvent:
        while not self._waiting:
            feed = self._feed
            if feed is None:
                raise StopAsyncIteration
            if feed.closed:
                self._feed = None
                if feed.error is not None:
                    raise feed.error
                raise StopAsyncIteration
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken
        event = self._waiting.popleft()
        return event.event() if isinstance(event, Piece) else event

    async def aclose(self) -> None:
        """Listen no more. The run goes on."""
        self.leave()

    def leave(self) -> None:
        """As `aclose`, for who cannot wait."""
        feed, self._feed = self._feed, None
        self._waiting.clear()
        if feed is not None:
            feed.forget(self)
        self.wake()

    def take(self, event: RunEvent | Piece) -> None:
        """Called by the feed: something happened."""
        self._waiting.append(event)
        self.wake()

    def say(self, kind: str, id: str, index: int, text: str) -> None:
        """Called by the feed: a text goes on."""
        if len(self._waiting) >= LAG:
            last = self._waiting[-1]
            if isinstance(last, Piece) and (last.id, last.index, last.kind) == (id, index, kind):
                last.texts.append(text)
                return
        self._waiting.append(Piece(kind, id, index, [text]))
        self.wake()

    def wake(self) -> None:
        """Called by the feed: look again."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)


class Feed:
    """What happens in a run, from one beginning to where it waits or ends.

    Attributes:
        closed: True: nothing happens any more.
        error: why it broke off, where it did.
    """

    def __init__(self) -> None:
        self.closed = False
        self.error: Exception | None = None
        self._listeners: list[Listener] = []
        self._over = asyncio.Event()
        self._cancelling = False

    def __len__(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def listen(self) -> Listener:
        """A listener, which gets everything from now on. Whoever reads it closes it (`aclose`)."""
        listener = Listener(self)
        self._listeners.append(listener)
        return listener

    def forget(self, listener: Listener) -> None:
        """Called by a listener that was closed."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def over(self) -> None:
        """Return when nothing happens any more, without listening."""
        await self._over.wait()

    def publish(self, *events: RunEvent) -> None:
        """Tell what happened."""
        for listener in self._listeners:
            for event in events:
                listener.take(event)

    def cancelling(self, run: Run) -> None:
        """Tell that somebody cancels the run, which is `cancelling`: once, whoever learns of it first."""
        if not self._cancelling:
            self._cancelling = True
            self.publish(of_run(run))

    def say(self, kind: str, id: str, index: int, text: str) -> None:
        """Tell more of a text.

        Args:
            kind: `text`, `refusal` or `arguments`.
            id: the message's id, or the step's.
            index: which part of the message, or which call of the step.
            text: what follows.
        """
        for listener in self._listeners:
            listener.say(kind, id, index, text)

    def close(self, error: Exception | None = None) -> None:
        """Nothing happens any more. Listeners get what they have not read yet, then the end, or the error.

        Args:
            error: why it broke off, for those who listen.
        """
        self.closed, self.error = True, error
        self._over.set()
        for listener in self._listeners:
            listener.wake()
        self._listeners.clear()
