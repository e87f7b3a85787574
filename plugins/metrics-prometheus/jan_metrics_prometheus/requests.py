"""Every HTTP request: how many, how they were answered, how long they took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jan_core import call
from jan_core.requests import CLIENT_LEFT
from jan_metrics_prometheus.measured import OTHER, Measured

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Those that have numbers of their own: a client may send any word."""


class Requests:
    """Goes around the app, and counts.

    The label `route` is the template of the route (`/v1/threads/{thread_id}`), never the path; `other` where no route
    was reached. The status of a client that went away before its answer is 499, as in the log.

    Args:
        app: what it goes around.
        measured: where it counts.
    """

    def __init__(self, app: ASGIApp, measured: Measured) -> None:
        self._app = app
        self._measured = measured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and count it when it is over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        context = call.current()
        unanswered = CLIENT_LEFT
        try:
            await self._app(scope, receive, send)
        except Exception:
            unanswered = 500  # nothing was sent, so the server answers with a bare 500
            raise
        finally:
            took = time.perf_counter() - began
            state = scope.get("state") or {}
            route = str(state.get("route") or getattr(scope.get("route"), "path", OTHER))
            method = scope["method"] if scope["method"] in METHODS else OTHER
            status = state.get("status") or (context.status if context is not None else 0) or unanswered
            self._measured.requests.add((route, method, str(status)))
            self._measured.durations.of((route, method)).add(took)
