"""HTTP/1.1 with the limits that ASGI cannot set: header size and count, and the time a client may take.

uvicorn's httptools protocol reads a header block of any size, and waits for ever for one, for a body, for a reader.
The class here adds the limits and leaves everything else as it is. It costs next to nothing a request: the header
limit is arithmetic on the length of what arrived, and each connection has one timer, which looks at the clock a few
times a minute and is never re-armed by a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar, Final, cast

import httptools
from typing_extensions import override
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from jan_core.errors import HeadersTooLarge, InvalidRequest, JanError, RequestTimeout
from jan_core.guard import new_request_id, rendered
from jan_core.limits import Limits
from jan_core.writes import JoinedWrites, rounds_of

MIN_RATE: Final = 1024
"""Bytes a second below which a body that comes, or an answer that goes, uses up its grace."""

LINGER_SECONDS: Final = 2.0
"""How long a closing connection still swallows a body, so that the client reads the answer and not a reset."""

PIPELINED: Final = 100
"""Requests a client may send ahead of the answers, over which the connection is closed."""

_IDLE, _HEAD, _BODY = 0, 1, 2


def limited_protocol(
    limits: Limits, refused: Callable[[JanError, str], None] = lambda error, request_id: None
) -> type[HttpToolsProtocol]:
    """A protocol class for `uvicorn.Config(http=...)` that keeps to `limits`.

    Refusals are OpenAI's error shape with `x-request-id` and `connection: close`: 400 for what is not HTTP, 408, 431.
    An application whose request is refused half-way (its body stopped coming) receives `http.disconnect`, and finds
    `status` and `error` in the scope's state. `refused` gets the error and the request's id where no application did.
    """
    return type("LimitedProtocol", (_Limited,), {"limits": limits, "refused": staticmethod(refused)})


class _Refused(Exception):
    """Stops the parser after a refusal; never leaves this file."""


class _Flow(FlowControl):
    """Tells when reading goes on, because the time the server did not read is not the client's."""

    def __init__(self, transport: asyncio.Transport, resumed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._resumed = resumed

    @override
    def resume_reading(self) -> None:
        if self.read_paused:
            super().resume_reading()
            self._resumed()


class _Limited(HttpToolsProtocol):
    limits: ClassVar[Limits] = Limits()
    refused: Callable[[JanError, str], None]

    # `_room` is how many bytes may come before the header block ends or a piece of body is found in them; it is
    # counted down by what arrives and set back by the parser's callbacks, so no byte is looked at twice.
    # `_began` is when the part that is arriving began, 0 where no clock runs. It is set only if a packet ends in the
    # middle of something: a request that comes in one packet never reads the clock.

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self._reading_resumed)
        self._rounds = rounds_of(self.loop)
        self._part = _IDLE
        self._limit = self._room = self.limits.header_bytes
        self._began = self.loop.time()
        self._rested = self._progress = self._paused = self._linger_until = 0.0
        self._received = self._unsent = 0
        self._closing = self._deaf = False
        self._earlier: list[RequestResponseCycle] = []
        told = self.limits
        seconds = (told.header_seconds, told.body_seconds, told.write_seconds, self.timeout_keep_alive)
        self._period = max(0.01, min(seconds))
        self._timer = self.loop.call_later(self._period, self._check)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        # uvicorn tells the last request only; those before it on a pipelining connection would run on for nobody.
        for cycle in self._earlier:
            if not cycle.response_complete:
                _disconnect(cycle)
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if len(data) <= self._room:
            self._feed(data)
            if self._part or self._room != self._limit:
                self._unfinished(len(data))
            return
        rest = memoryview(data)
        while rest and not self._deaf:
            piece, rest = rest[: self._room], rest[self._room :]
            self._feed(piece)
            self._unfinished(len(piece))

    def _feed(self, data: bytes | memoryview) -> None:
        self._room -= len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as found:
            self._upgrade(data, found.args[0])
        except httptools.HttpParserError as found:
            if not self._deaf:
                reason = "" if isinstance(found, httptools.HttpParserCallbackError) else f" ({found})"
                self._malformed(f"This is not a request that HTTP/1.1 allows{reason}. Check the client or its proxy.")

    def _unfinished(self, size: int) -> None:
        """A packet ended, and something has begun that has not ended with it."""
        if self._deaf:
            pass
        elif self._room <= 0:
            self._refuse(
                HeadersTooLarge(f"The headers are over this server's limit of {self._limit} bytes. Send less.")
            )
        elif self._part == _BODY:
            self._progress = self.loop.time()
            if not self._began:
                self._began = self._progress
                self._received = 0
                cast(JoinedWrites, self.cycle.transport).closes = self._finish
            self._received += size
        elif not self._began and (self._part or self._room != self._limit):
            self._began = self.loop.time()

    # Callbacks of the parser

    @override
    def on_message_begin(self) -> None:
        self._part = _HEAD
        super().on_message_begin()

    @override
    def on_headers_complete(self) -> None:
        if len(self.headers) > self.limits.header_count:
            told = f"The request has {len(self.headers)} headers; this server takes {self.limits.header_count}."
            self._refuse(HeadersTooLarge(f"{told} Send fewer."))
            raise _Refused
        if self.parser.should_upgrade():
            self.scope["method"] = self.parser.get_method().decode("ascii")
            return
        before = self.cycle
        super().on_headers_complete()
        self.cycle.transport = cast(asyncio.Transport, JoinedWrites(self.transport, self._rounds))
        self._part = _BODY
        self._room = self._limit
        self._began = 0.0
        # Trailers go to a list that nobody reads: they must not turn up among the headers that were checked.
        self.headers = []
        if self.pipeline:
            self._sent_ahead(before)

    @override
    def on_body(self, body: bytes) -> None:
        self._room = self._limit
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self._part == _HEAD:
            return  # an offer to upgrade: `_upgrade` comes next
        self._part = _IDLE
        self._began = 0.0
        cycle = self.cycle
        if cycle.response_complete:
            self._rested = self.loop.time()
        else:
            cycle.more_body = False
            cycle.message_event.set()

    @override
    def on_response_complete(self) -> None:
        # As in uvicorn, but for the keep-alive timer, of which it makes one and cancels one with every request.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._rested = self.loop.time()

    def _sent_ahead(self, before: RequestResponseCycle) -> None:
        if len(self.pipeline) == 1:
            self._earlier.clear()
        self._earlier.append(before)
        if len(self.pipeline) > PIPELINED:
            self._deaf = True
            self.transport.abort()
            raise _Refused

    def _upgrade(self, data: bytes | memoryview, offset: int) -> None:
        if self._should_upgrade():
            self._deaf = True
            self._timer.cancel()
            self.handle_websocket_upgrade()
            return
        if self.scope["method"] == "CONNECT":
            self._malformed("CONNECT was asked for, and this server is not a proxy.")
            return
        # Java's client offers HTTP/2 with every request. The parser takes what follows such an offer for another
        # protocol, body included, so the request is parsed once more without the offer.
        version = self.parser.get_http_version().encode()
        head = [b"%s %s HTTP/%s\r\n" % (self.scope["method"].encode(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                value = b", ".join(token for token in value.split(b",") if token.strip().lower() != b"upgrade")
            if name != b"upgrade":
                head.append(b"%s: %s\r\n" % (name, value))
        head.append(b"\r\n")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"".join(head))
        if not self._deaf and offset < len(data):
            self._feed(data[offset:])

    # The clock

    def _check(self) -> None:
        """Ends the connection if its time is up, and else looks again when that could be.

        No limit is shorter than `_period`, and this runs at least once in each, so none is overstepped although
        nothing re-arms the timer when a new part begins.
        """
        now = self.loop.time()
        due = self._due(now)
        if due > now:
            self._arm(min(due - now, self._period))
            return
        self._arm(self._period)  # what is closed from here on may still be slow in taking what was sent
        if self._linger_until and not self.transport.is_closing():
            self.transport.close()
        elif self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        elif self._part == _BODY:
            came = f"no more than {self._received} bytes in {now - self._began:.1f} seconds"
            self._refuse(RequestTimeout(f"The request's body came too slowly: {came}. Send it again."))
        elif self._part == _IDLE and self._room == self._limit:
            self.transport.close()
        else:
            seconds = self.limits.header_seconds
            self._refuse(
                RequestTimeout(f"The headers did not arrive within {seconds:g} seconds. Send the request again.")
            )

    def _due(self, now: float) -> float:
        """When the connection's time is up, as things stand; later than any limit where nothing is awaited."""
        limits = self.limits
        closing = self.transport.is_closing()
        if self._linger_until and not closing:
            return self._linger_until
        if closing or self.flow.write_paused:
            if closing and not (self._closing or self.flow.write_paused):
                self._note_unsent()
            self._closing = closing
            taken = max(0, self._unsent - self.transport.get_write_buffer_size())
            return self._paused + limits.write_seconds + taken / MIN_RATE
        answering = self._answering()
        if self._part == _BODY:
            if self.flow.read_paused or (answering and self.cycle.waiting_for_100_continue):
                self._reading_resumed()
            return min(self._progress, self._began + self._received / MIN_RATE) + limits.body_seconds
        if self._began and answering:
            self._began = now
        if self._began:
            return self._began + limits.header_seconds
        return now + self._period if answering else self._rested + self.timeout_keep_alive

    def _arm(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._check)

    def _answering(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is not None and not cycle.response_complete

    def _reading_resumed(self) -> None:
        if self._part == _BODY:
            self._began = self._progress = self.loop.time()
            self._received = 0

    @override
    def pause_writing(self) -> None:
        self._note_unsent()
        super().pause_writing()

    def _note_unsent(self) -> None:
        self._paused = self.loop.time()
        self._unsent = self.transport.get_write_buffer_size()

    # The end

    def _refuse(self, error: JanError) -> None:
        """Answers `error` if an answer can be given at this point, hears nothing more, and closes."""
        self._deaf = True
        cycle = self.cycle
        if cycle is not None:
            cast(JoinedWrites, cycle.transport).flush()
        if (answering := self._answering()) and self._part != _BODY:
            # The request before this one is being answered. Its answer comes first, and the connection ends with it.
            cycle.keep_alive = False
            return
        if answering:
            _disconnect(cycle)
            if cycle.response_started or self.pipeline:
                self.transport.close()
                return
        if answering or self._part != _BODY:
            self.transport.write(self._reply(error, cycle.scope["state"] if answering else {}))
        self._linger()

    def _malformed(self, message: str) -> None:
        self._refuse(InvalidRequest(message, code="malformed_request"))

    def _reply(self, error: JanError, state: dict[str, Any]) -> bytes:
        request_id = state.get("request_id") or new_request_id()
        if state:
            state |= {"status": error.status, "error": error.code or error.type}
        else:
            self.refused(error, request_id)
        headers, body = rendered(error, request_id, close=True)
        lines = [b"%s: %s\r\n" % header for header in (*self.server_state.default_headers, *headers)]
        return b"".join((STATUS_LINE[error.status], *lines, b"\r\n", body))

    def _finish(self) -> None:
        """What an answer's `close` does: the request's body may still be on its way."""
        if self._part == _BODY and not self._deaf and not self.pipeline:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Ends the sending side now and the other one when the client is done, or has had LINGER_SECONDS.

        Closed at once with unread bytes, the socket would answer them with a reset, which on some systems takes the
        answer away from a client that has not read it yet.
        """
        self._deaf = True
        if self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._linger_until = self.loop.time() + LINGER_SECONDS
        self._arm(LINGER_SECONDS)


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.message_event.set()
