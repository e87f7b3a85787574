"""The call context: who asked for what, readable from anywhere below the HTTP layer."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


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
    """

    request_id: str
    key_name: str | None = None
    idempotency_key: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


_current: ContextVar[Call | None] = ContextVar("jan_call", default=None)


def current() -> Call | None:
    """The call being served; None outside of a request (a command, a background task)."""
    return _current.get()


def enter(call: Call) -> None:
    """Make `call` the current one for this task and the tasks it starts."""
    _current.set(call)
