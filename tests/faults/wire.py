"""Requests to real servers that may be killed at any time, over connections that are kept."""

from __future__ import annotations

import http.client
import json
from typing import Any


class Gone(Exception):
    """The server did not answer; what was asked may have been done or not."""


class Wire:
    """One connection, made when needed.

    Args:
        port: of a server on this machine.
    """

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def close(self) -> None:
        """Leave."""
        self._http.close()

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> tuple[int, Any]:
        """Send a request; returns the status and what the reply holds.

        Raises:
            Gone: no whole answer came.
        """
        headers = {} if body is None else {"content-type": "application/json"}
        if key is not None:
            headers["idempotency-key"] = key
        try:
            self._http.request(method, f"/v1{path}", None if body is None else json.dumps(body), headers)
            reply = self._http.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise Gone(repr(error)) from error
        return reply.status, json.loads(content)

    def good(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """The reply to a request that must work."""
        status, reply = self.ask(method, path, body, key=key)
        assert status == 200, (method, path, body, status, reply)
        return reply

    def all(self, path: str) -> list[Any]:
        """All pages of a listing, oldest first."""
        found: list[Any] = []
        after = ""
        while True:
            page = self.good("GET", f"{path}?limit=100&order=asc{after}")
            found += page["data"]
            if not page["has_more"]:
                return found
            after = f"&after={page['last_id']}"

    def texts(self, thread: str) -> list[str]:
        """What the messages of a thread say, oldest first."""
        return [one["content"][0]["text"]["value"] for one in self.all(f"/threads/{thread}/messages")]
