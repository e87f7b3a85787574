"""The call context: who asked for what, readable from anywhere below the HTTP layer."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class Call:
    """One request, as wrappers, stores and engines see it.

    Attributes:
        request_id: the `x-request-id` of the reply.
        key_name: the name of the key that authenticated the caller; None without authentication.
        idempotency_key: the `Idempotency-Key` header: a store keeps it and the reply together with the write.
        model: the model that answers; set by the HTTP layer from the body, for logs and metrics.
        prompt_tokens: tokens read, set by the engine when it knows.
        completion_tokens: tokens written, set by the engine when it knows, also where the client left early.
        depth: how many own runs of assistants it was asked from within, each inside the other.
        status: the HTTP status of the reply; 0 until it has begun. A layer around the app reads it when the app has
            returned, which costs less than watching what is sent.
        on_begun: called when an engine begins with what was asked, which waited for it until then; None where nobody
            wants to know.
    """

    request_id: str
    key_name: str | None = None
    idempotency_key: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    depth: int = 0
    status: int = 0
    on_begun: Callable[[], None] | None = None


_current: ContextVar[Call | None] = ContextVar("jan_call", default=None)


def current() -> Call | None:
    """The call being served; None outside of a request (a command, a background task)."""
    return _current.get()


def enter(call: Call) -> None:
    """Make `call` the current one for this task and the tasks it starts."""
    _current.set(call)


def begun() -> None:
    """Say that the engine begins with what was asked; an engine that lets requests wait calls it after the wait."""
    call = current()
    if call is not None and call.on_begun is not None:
        call.on_begun()


@dataclass(frozen=True, slots=True)
class Inside:
    """The mark of a request that comes from within the server: `inside` in the `state` of its ASGI scope.

    It is made for somebody who has been let in before, so that it needs no key; nothing that arrives over a network
    can have it.

    Attributes:
        key_name: the name of the key of whom it is made for; None where that caller needed none.
        depth: see `Call`.
    """

    key_name: str | None
    depth: int = 1


def inside(scope: Mapping[str, Any]) -> Inside | None:
    """The mark of a request that comes from within; None for every other one."""
    found = scope.get("state", {}).get("inside")
    return found if isinstance(found, Inside) else None
