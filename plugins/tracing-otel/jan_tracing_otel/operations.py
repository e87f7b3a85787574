"""A span around every operation, for a stream until its end."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.endpoint import Endpoint, Operation
from jan_core.errors import JanError
from jan_tracing_otel.inference import Kind, Pieces
from jan_tracing_otel.requests import LEFT
from jan_tracing_otel.spans import INTERNAL, SERVER, Span, Unsampled, begun, current

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


_NOTHING: Mapping[str, Any] = {}


def _fail(tracing: Tracing, span: Span, error: BaseException) -> None:
    """Note how an operation ended that did not end well."""
    told = span.attributes
    if isinstance(error, JanError):
        told["error.type"] = error.code or error.type
        span.failed = True
        if tracing.content:
            span.message = error.message
    elif isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        if tracing.jan.under_way.stopping:
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
        if tracing.content:
            happened.append(("exception.message", str(error)))
        span.event("exception", *happened)


def _plain(tracing: Tracing, operation: Operation) -> Wrapper:
    kind = Kind(tracing, operation)
    end = kind.end

    async def traced(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        parent = current.get()
        if isinstance(parent, Unsampled):
            return await proceed(*arguments, **named)
        if parent is not None:  # a call of `begun` would cost more than all else that is done before `proceed`
            span = Span()
            span.kind = INTERNAL
            span.parent = parent
            span.attributes = {}
            span.events = None
            span.failed = False
            span.message = ""
            span.span_id = b""
            span.began = time_ns()
        elif not tracing.keeps((span := begun(INTERNAL, None)).trace_id):
            return await proceed(*arguments, **named)
        current.set(span)
        told = _NOTHING
        try:
            reply = await proceed(*arguments, **named)
            told = getattr(reply, "__dict__", _NOTHING)
        except BaseException as error:
            _fail(tracing, span, error)
            raise
        finally:
            current.set(parent)
            end(span, arguments, named, told)
        return reply

    return traced


def _stream(tracing: Tracing, operation: Operation) -> Wrapper:
    kind = Kind(tracing, operation)

    async def traced(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        parent = current.get()
        if isinstance(parent, Unsampled):
            return await proceed(*arguments, **named)
        span = begun(INTERNAL, parent)
        if parent is None and not tracing.keeps(span.trace_id):
            return await proceed(*arguments, **named)
        current.set(span)
        pieces = Pieces(content=kind.content) if kind.asks(arguments, named) else None

        def end(error: BaseException | None = None) -> None:
            if error is not None:
                _fail(tracing, span, error)
            kind.end(span, arguments, named, _NOTHING, pieces)

        try:
            events = await proceed(*arguments, **named)
        except BaseException as error:
            end(error)
            raise
        finally:
            current.set(parent)
        followed = _followed(events, kind, span, pieces, parent, end)
        await anext(followed)  # a generator that was never begun would not notice that it is closed
        return followed

    return traced


async def _followed(
    events: AsyncIterator[Any],
    kind: Kind,
    span: Span,
    pieces: Pieces | None,
    parent: Span | None,
    end: Callable[[BaseException | None], None],
) -> AsyncIterator[Any]:
    """The events of a stream, passed on behind a first None, with its span around them."""
    step = events.__aiter__().__anext__
    noted = pieces.add if pieces is not None else None
    # The span is the current one only while the stream is at work, and not between two events: what its reader does
    # then is no part of it. Where it is read for a request, its reader does nothing that has a span.
    alone = parent is not None and parent.kind == SERVER
    failed: BaseException | None = None
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
                    kind.puzzled(error)
            yield event
    except BaseException as error:
        close = getattr(events, "aclose", None)
        if close is not None:  # an engine tells how many tokens it wrote when it is closed
            await close()
        failed = error
        raise
    finally:
        current.set(parent)
        end(failed)
