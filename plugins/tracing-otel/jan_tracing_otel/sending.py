"""The thread that sends spans, so that no request waits for it.

Spans are encoded many at once, which takes a quarter of the time that it takes between other things. The event loop
does that: the thread would take the interpreter's lock from it for as long.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from jan_tracing_otel.spans import Span

log = logging.getLogger("jan.tracing")

BATCH_SPANS = 4096
"""Most spans in one request to a collector. A request costs one or two milliseconds, whatever is in it."""
BATCH_BYTES = 4 * 1024 * 1024
"""A request to a collector holds no more than this, unless one span alone does."""
SLICE = 64
"""So many spans are encoded at once: a third of a millisecond of work, about."""
LONGEST_PAUSE = 60.0
"""Seconds between two attempts to reach a collector that is down, at most; the first pause is one second."""


class Refused(Exception):
    """A batch that was refused for good: it is not sent again."""


class Later(Exception):
    """A batch that may be taken later. `after` is how many seconds the collector asked to wait; None if it did not."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class Destination(Protocol):
    """Where spans go. It is used from one thread."""

    name: str
    """What a person calls it: an address, a file."""

    def send(self, spans: list[bytes]) -> None:
        """Hand over encoded spans.

        Raises:
            Later: not now.
            Refused: never.
        """

    def close(self) -> None:
        """Let go of what it holds open."""


class Sender:
    """Spans that wait, and a thread that hands them over in batches.

    Args:
        destination: makes where they go; called in the thread.
        encode: writes a span.
        name: what the destination is called in the log.
        flush_seconds: longest time that a span waits for others.
        spans: most spans that wait.
        size: most bytes of them.

    Attributes:
        fresh: spans that have ended, and do not change any more. Whoever adds the `SLICE`th calls `write`; a function
            for adding one would cost more than what it does.
        lost: spans that could not be kept or sent.
    """

    def __init__(
        self,
        destination: Callable[[], Destination],
        encode: Callable[[Span], bytes],
        name: str,
        *,
        flush_seconds: float,
        spans: int,
        size: int,
    ) -> None:
        self.lost = 0
        self.name = name
        self._make = destination
        self._encode = encode
        self._flush = flush_seconds
        self._most = spans
        self._most_bytes = size
        self.fresh: deque[Span] = deque()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._turn = threading.Lock()
        self._enough = min(BATCH_SPANS, max(1, spans - SLICE))  # full means: a slice less is encoded
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ended: Future[None] = Future()
        self._trouble = False
        self._pause = 1.0
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._waiting) + len(self.fresh)

    def start(self) -> None:
        """Start the thread. What was added before waits for it."""
        self._thread = threading.Thread(target=self._run, name="jan-tracing", daemon=True)
        self._thread.start()

    def write(self) -> None:
        """Encode the fresh spans; those are lost for which there is no room."""
        with self._turn:
            fresh, waiting, encode = self.fresh, self._waiting, self._encode
            room, left = self._most - len(waiting), self._most_bytes - self._bytes
            while fresh:
                span = fresh.popleft()
                if room <= 0:
                    self.lost += 1
                    continue
                try:
                    written = encode(span)
                except Exception as error:
                    self.lost += 1
                    self._warn(f"A span cannot be written: {type(error).__name__}.")
                    continue
                size = len(written)
                if size > left:
                    self.lost += 1
                    continue
                room -= 1
                left -= size
                waiting.append(written)
            self._bytes = self._most_bytes - left
        if len(self._waiting) >= self._enough:
            self._wake.set()

    def stop(self) -> Future[None]:
        """Ask the thread to send what waits, once, and to end; the future is done when it has."""
        self._stopping.set()
        self._wake.set()
        if self._thread is None:
            self._ended.set_result(None)
        return self._ended

    def _run(self) -> None:
        try:
            destination = self._make()
            try:
                while not self._stopping.is_set():
                    self._wake.wait(self._flush)
                    self._wake.clear()
                    self._send_all(destination)
                self._send_all(destination)
            finally:
                destination.close()
        except Exception:
            log.exception("traces are not sent any more")
        finally:
            self._ended.set_result(None)

    def _send_all(self, destination: Destination) -> None:
        """Send until nothing waits; where that fails, wait, and leave the rest for the next time."""
        self.write()
        while self._waiting:
            batch = self._next()
            try:
                destination.send(batch)
            except Later as error:
                # The newest are given up first where there is no room: a trouble is best seen from its beginning.
                with self._turn:
                    self._waiting.extendleft(reversed(batch))
                    self._bytes += sum(map(len, batch))
                self._warn(f"{error}. Up to {self._most} spans are kept until it takes them.")
                if not self._stopping.is_set():
                    self._stopping.wait(min(error.after or self._pause, LONGEST_PAUSE))
                    self._pause = min(self._pause * 2, LONGEST_PAUSE)
                    continue
                return
            except Refused as error:
                self.lost += len(batch)
                self._warn(f"{error}. Those spans are lost.")
            else:
                self._pause = 1.0
                if self._trouble:
                    self._trouble = False
                    lost, self.lost = self.lost, 0
                    log.warning("traces reach %s again; %d spans were lost", self.name, lost)

    def _warn(self, why: str) -> None:
        """Say once what is wrong, until it is right again."""
        if not self._trouble:
            self._trouble = True
            log.warning("traces do not reach %s: %s This is said once, until they do.", self.name, why)

    def _next(self) -> list[bytes]:
        with self._turn:
            if self._bytes <= BATCH_BYTES and len(self._waiting) <= BATCH_SPANS:
                batch = list(self._waiting)
                self._waiting.clear()
                self._bytes = 0
                return batch
            batch, size = [], 0
            while self._waiting and len(batch) < BATCH_SPANS:
                size += len(self._waiting[0])
                if batch and size > BATCH_BYTES:
                    break
                batch.append(self._waiting.popleft())
                self._bytes -= len(batch[-1])
        return batch
