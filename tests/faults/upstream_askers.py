"""Requests to a Jan in front of upstreams that fail: each ends whole or with an error, and nothing else is let pass."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.e2e.raw import Raw
from tests.e2e.server import JanServer
from tests.e2e.upstreams import MODEL

SECONDS = 20.0
"""In which every request must have ended: the configured times, and a busy machine."""
WORDS = [f"word-{number} " for number in range(12)]
WHOLE = "".join(WORDS)


class Told:
    """What came of one request.

    Attributes:
        status: of the reply.
        text: what was said.
        done: whether the stream ended as whole ones do.
        error: of the reply or of the stream; None where there is none.
        seconds: that it took.
    """

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        self.headers = headers
        self.text = ""
        self.reason: str | None = None
        self.done = False
        self.error: dict[str, Any] | None = None
        self.seconds = 0.0

    @property
    def whole(self) -> bool:
        return self.status == 200 and self.error is None and self.reason is not None and self.text == WHOLE


def ask(server: JanServer, messages: Any, *, stream: bool) -> Told:
    """One request on a connection of its own; fails where it hangs, or is neither whole nor an error."""
    began = time.monotonic()
    with Raw(server.port, server.checks) as raw:
        raw.sock.settimeout(SECONDS)
        raw.chat(model=MODEL, messages=messages, stream=stream)
        found = read(raw)
    found.seconds = time.monotonic() - began
    assert found.seconds < SECONDS
    return found


def read(raw: Raw) -> Told:
    """The answer to what was asked, each of its events looked at."""
    status, headers = raw.head()
    found = Told(status, headers)
    if not headers["content-type"].startswith("text/event-stream"):
        reply = raw.rest(status, headers)
        if status == 200:
            (choice,) = reply.json()["choices"]
            found.text, found.reason, found.done = choice["message"]["content"], choice["finish_reason"], True
        else:
            found.error = reply.error()
        return found
    for one in raw.events():
        assert not found.done, "the stream goes on after its end"
        if one == "[DONE]":
            found.done = True
            continue
        event = json.loads(one)
        assert found.error is None, "the stream goes on after its error"
        if "error" in event:
            found.error = event["error"]
            continue
        for choice in event["choices"]:
            found.text += choice["delta"].get("content") or ""
            found.reason = choice["finish_reason"] or found.reason
    assert found.done != (found.error is not None), f"neither whole nor an error: {vars(found)}"
    return found
