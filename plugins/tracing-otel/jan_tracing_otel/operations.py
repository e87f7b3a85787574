"""A span around every operation, for a stream until its end."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.endpoint import Endpoint, Operation
from jan_core.errors import JanError
from jan_tracing_otel.content import field
from jan_tracing_otel.inference import Inference, Kind
from jan_tracing_otel.requests import LEFT
from jan_tracing_otel.sending import log
from jan_tracing_otel.spans import INTERNAL, SERVER, Span, Unsampled, current, new_trace_id

if TYPE_CHECKING:
    from jan_core.hookspecs import Wrapper
    from jan_core.wrapping import Proceed
    from jan_tracing_otel.tracing import Tracing


def wrappers(tracing: Tracing, endpoint: type[Endpoint]) -> Mapping[str, Wrapper]:
    """A wrapper for each operation of the endpoint that is traced, by name."""
    if not tracing.on:
        return {}
    return {
        name: _stream(tracing, operation) if operation.stream else _plain(tracing, operation)
        for name, operation in endpoint.operations().items()
        if operation.path is not None or tracing.internal
    }


class _Described:
    """What holds for every span of one operation."""

    def __init__(self, tracing: Tracing, operation: Operation) -> None:
        self.tracing = tracing
        self.qualified = operation.qualified
        self.body = operation.arguments.index("body") if "body" in operation.arguments else None
        self.thread = operation.arguments.index("thread_id") if "thread_id" in operation.arguments else None
        head = (("jan.endpoint", operation.endpoint.name), ("jan.operation", operation.name))
        self.common = tracing.encoding.attributes(head)
        self._told = False
        self.kind = Kind(tracing, operation.qualified, operation.stream, head)

    def begin(
        self, parent: Span | None, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[Span, Inference | None] | None:
        """A new span, and what to note of the model's answer where one answers; None where its trace is not kept."""
        if parent is not None:
            span = Span(INTERNAL, parent.trace_id, parent.span_id, parent.state)
            span.server = parent.server
        else:
            span = Span(INTERNAL, new_trace_id())
            if not self.tracing.keeps(span.trace_id):
                return None
        span.name = self.qualified
        span.common = self.common
        if self.thread is not None:
            thread_id = _argument(self.thread, "thread_id", arguments, named)
            if thread_id is not None:
                span.attributes["gen_ai.conversation.id"] = thread_id
        inference = None
        if self.body is not None:
            body = _argument(self.body, "body", arguments, named)
            if isinstance(field(body, "model"), str):
                inference = Inference(self.kind, body)
        return span, inference

    def end(self, span: Span, inference: Inference | None) -> None:
        """Hand in a span that is over."""
        if inference is not None:
            try:
                inference.settle(span)
            except Exception as error:
                self.puzzled(error)
        self.tracing.end(span)

    def puzzled(self, error: Exception) -> None:
        """Say once that requests or replies of this operation are of another make than any that is known."""
        if not self._told:
            self._told = True
            log.warning("spans of %s say little: %s: %s", self.qualified, type(error).__name__, error)

    def fail(self, span: Span, error: BaseException) -> None:
        """Note how an operation ended that did not end well."""
        told = span.attributes
        if isinstance(error, JanError):
            told["error.type"] = error.code or error.type
            span.failed = True
            if self.tracing.content:
                span.message = error.message
        elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            if self.tracing.jan.under_way.stopping:
                told["error.type"] = "stopping"
            else:
                told["error.type"] = LEFT if call.current() is not None else "cancelled"
        else:
            kind = type(error)
            name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
            told["error.type"] = name
            span.failed = True
            # Without the error's own words and without values: they may hold what somebody wrote.
            where = "".join(traceback.format_tb(error.__traceback__))
            happened = [("exception.type", name), ("exception.stacktrace", where)]
            if self.tracing.content:
                happened.append(("exception.message", str(error)))
            span.event("exception", *happened)


def _argument(position: int, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return arguments[position] if position < len(arguments) else named.get(name)


def _plain(tracing: Tracing, operation: Operation) -> Wrapper:
    described = _Described(tracing, operation)

    async def traced(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        parent = current.get()
        if isinstance(parent, Unsampled) or (begun := described.begin(parent, arguments, named)) is None:
            return await proceed(*arguments, **named)
        span, inference = begun
        current.set(span)
        try:
            reply = await proceed(*arguments, **named)
            if inference is not None:
                try:
                    inference.reply(reply)
                except Exception as error:
                    described.puzzled(error)
        except BaseException as error:
            described.fail(span, error)
            raise
        finally:
            current.set(parent)
            described.end(span, inference)
        return reply

    return traced


def _stream(tracing: Tracing, operation: Operation) -> Wrapper:
    described = _Described(tracing, operation)

    async def traced(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        parent = current.get()
        if isinstance(parent, Unsampled) or (begun := described.begin(parent, arguments, named)) is None:
            return await proceed(*arguments, **named)
        span, inference = begun
        current.set(span)
        try:
            events = await proceed(*arguments, **named)
        except BaseException as error:
            described.fail(span, error)
            described.end(span, inference)
            raise
        finally:
            current.set(parent)
        followed = _followed(events, described, span, inference, parent)
        await anext(followed)  # a generator that was never begun would not notice that it is closed
        return followed

    return traced


async def _followed(
    events: AsyncIterator[Any], described: _Described, span: Span, inference: Inference | None, parent: Span | None
) -> AsyncIterator[Any]:
    """The events of a stream, passed on behind a first None, with its span around them."""
    step = events.__aiter__().__anext__
    noted = inference.chunk if inference is not None else None
    # The span is the current one only while the stream is at work, and not between two events: what its reader does
    # then is no part of it. Where it is read for a request, its reader does nothing that has a span.
    alone = parent is not None and parent.kind == SERVER
    try:
        yield None
        current.set(span)
        while True:
            if not alone:
                current.set(span)
            try:
                event = await step()
            except StopAsyncIteration:
                break
            finally:
                if not alone:
                    current.set(parent)
            if noted is not None:
                try:
                    if noted(event):
                        span.event("gen_ai.first_token")
                except Exception as error:
                    noted = None
                    described.puzzled(error)
            yield event
    except BaseException as error:
        close = getattr(events, "aclose", None)
        if close is not None:  # an engine tells how many tokens it wrote when it is closed
            await close()
        described.fail(span, error)
        raise
    finally:
        current.set(parent)
        described.end(span, inference)
