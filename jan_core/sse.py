"""Server-sent events, as OpenAI frames them.

Source of the format: the WHATWG HTML standard, "Server-sent events"; `[DONE]` as the end from OpenAI's API reference.
"""

from __future__ import annotations

import json
from typing import Any

from jan_core.errors import JanError
from jan_core.schemas.base import NamedEvent, Reply

DONE = b"data: [DONE]\n\n"
"""The end of a stream of unnamed events."""

DONE_EVENT = b"event: done\ndata: [DONE]\n\n"
"""The end of a stream of named events."""


def frame(item: Reply) -> bytes:
    """One event as bytes. JSON never contains a bare line break, so one `data:` line always suffices."""
    if isinstance(item, NamedEvent):
        return b"event: " + item.event.encode() + b"\ndata: " + _json(item.data) + b"\n\n"
    return b"data: " + _json(item) + b"\n\n"


def _json(item: Any) -> bytes:
    data: bytes = item.__pydantic_serializer__.to_json(item)
    return data


def error_frame(error: JanError, *, named: bool) -> bytes:
    """The event that ends a stream which has failed: OpenAI's clients raise `APIError` at it.

    The API describes a named one's data as the bare error, but the official clients look for it under `error`: it has
    both forms.
    """
    body: dict[str, Any] = error.body()
    if named:
        return b"event: error\ndata: " + json.dumps({**body["error"], **body}).encode() + b"\n\n"
    return b"data: " + json.dumps(body).encode() + b"\n\n"
