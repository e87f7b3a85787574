"""Around every operation that writes: one line when it has ended, and one before it where that is required."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from jan_audit_log import lines
from jan_core import call
from jan_core.errors import JanError, Unavailable
from jan_core.requests import CLIENT_LEFT

if TYPE_CHECKING:
    from jan_audit_log.log import AuditLog
    from jan_core.endpoint import Endpoint, Operation
    from jan_core.hookspecs import Wrapper
    from jan_core.wrapping import Proceed


def wrappers(log: AuditLog, endpoint: type[Endpoint]) -> Mapping[str, Wrapper]:
    """Wrappers for the operations of an endpoint that write.

    Args:
        log: where they are told.
        endpoint: the class that declares it.
    """
    return {
        name: _around_stream(log, operation) if operation.stream else _around(log, operation)
        for name, operation in endpoint.operations().items()
        if log.wants(operation)
    }


def _around(log: AuditLog, operation: Operation) -> Wrapper:
    described = Described(operation)

    async def audit(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        change = Change(log, described, arguments, named)
        if log.required:
            await change.begin()
        try:
            reply = await proceed(*arguments, **named)
        except Exception as error:
            await change.end(error)
            raise
        except BaseException:
            change.left()
            raise
        change.look(reply)
        line = change.ended(200, None)
        if line and not log.collect(line):
            await log.written(line)
        return reply

    return audit


def _around_stream(log: AuditLog, operation: Operation) -> Wrapper:
    described = Described(operation)

    async def audit(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        change = Change(log, described, arguments, named)
        if log.required:
            await change.begin()
        try:
            return Events(change, await proceed(*arguments, **named))
        except Exception as error:
            await change.end(error)
            raise
        except BaseException:
            change.left()
            raise

    return audit


class Described:
    """An operation, as its lines need it.

    Args:
        operation: the operation.

    Attributes:
        name: endpoint and operation, as JSON.
        ids: the path's parameters, and where each is among the arguments.
        body: where the body is among the arguments; None where there is none.
    """

    def __init__(self, operation: Operation) -> None:
        places = {name: place for place, name in enumerate(operation.arguments)}
        self.name = json.dumps(operation.qualified)
        self.ids = [(name, places[name]) for name in operation.parameters if name in places]
        self.body = places.get("body")


_NO_IDS: Mapping[str, str] = {}


class Change:
    """One call of an operation that writes.

    Args:
        log: where it is told.
        described: the operation.
        arguments: what it was called with, by position.
        named: the rest.
    """

    __slots__ = ("_began", "_call", "_described", "_ids", "_log", "_made", "_model", "_told")

    def __init__(
        self, log: AuditLog, described: Described, arguments: tuple[Any, ...], named: Mapping[str, Any]
    ) -> None:
        self._began = perf_counter()
        self._log = log
        self._described = described
        given = len(arguments)
        self._ids = _NO_IDS
        if described.ids:
            self._ids = {
                name: str(arguments[place] if place < given else named.get(name, "")) for name, place in described.ids
            }
        place = described.body
        body = None if place is None else arguments[place] if place < given else named.get("body")
        self._model = None if body is None else vars(body).get("model")
        self._made: str | None = None
        self._told = False
        self._call = call.current()

    async def begin(self) -> None:
        """Tell that the change is about to be made.

        Raises:
            Unavailable: the line could not be written, so that nothing may be changed.
        """
        context = self._call
        who, key = (None, None) if context is None else (context.request_id, context.key_name)
        line = lines.begun(self._described.name, who, key, self._ids)
        if not await self._log.written(line, begins=True):
            raise Unavailable(
                "The audit log cannot be written, and without it nothing may be changed here; nothing was. "
                "The server's log says why. Ask again when that is mended.",
                retry_after=5,
                code="audit_log_unavailable",
            )

    def look(self, told: Any) -> None:
        """Note the id of the object that a reply, or an event of a stream, is or carries."""
        if self._made is None:
            fields = vars(told)
            made = fields.get("id")
            if made is None and isinstance(data := fields.get("data"), BaseModel):
                made = vars(data).get("id")
            if isinstance(made, str):
                self._made = made

    async def end(self, error: Exception | None = None) -> None:
        """Tell how it ended, and wait until that is written.

        Args:
            error: what it raised; None where it was done.
        """
        if error is None:
            line = self.ended(200, None)
        elif isinstance(error, JanError):
            line = self.ended(error.status, error.code or error.type)
        else:
            line = self.ended(500, "internal_error")
        if line and not self._log.collect(line):
            await self._log.written(line)

    def left(self) -> None:
        """Tell that it was broken off, as its client went away or the server stops; nobody is left to wait."""
        stopping = self._log.jan.under_way.stopping
        line = self.ended(503, "stopping") if stopping else self.ended(CLIENT_LEFT, "client_left")
        if line:
            self._log.put(line)

    def ended(self, status: int, error: str | None) -> bytes:
        """The line that tells how it ended; empty where it was told before.

        Args:
            status: the HTTP status.
            error: the error's code.
        """
        if self._told:
            return b""
        self._told = True
        model = self._model if isinstance(self._model, str) else None
        seconds = perf_counter() - self._began
        context, described = self._call, self._described
        who, key = (None, None) if context is None else (context.request_id, context.key_name)
        return lines.ended(described.name, who, key, self._ids, self._made, model, status, error, seconds)


class Events:
    """The events of an operation that writes, passed on as they come.

    Args:
        change: the call that they answer.
        events: the next layer's.
    """

    __slots__ = ("_change", "_looked", "_next")

    def __init__(self, change: Change, events: AsyncIterator[Any]) -> None:
        self._change = change
        self._next = events.__aiter__().__anext__
        self._looked = False

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> Any:
        try:
            event = await self._next()
        except StopAsyncIteration:
            await self._change.end()
            raise
        except Exception as error:
            await self._change.end(error)
            raise
        except BaseException:
            self._change.left()
            raise
        if not self._looked:
            self._looked = True
            self._change.look(event)
        return event

    async def aclose(self) -> None:
        """Close the stream; before its end, that is a change that was broken off."""
        self._change.left()
