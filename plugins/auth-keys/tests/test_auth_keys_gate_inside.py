"""Requests that the server makes itself, in the name of a key that was let in before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jan_core import call
from jan_core.asgi import create_app
from jan_core.inprocess import client
from jan_core.testing.wired import EVERYTHING, wired

pytestmark = pytest.mark.anyio
MakeKey = Callable[..., str]


async def ask(app: Any, inside: Any, path: str = "/v1/models", method: str = "GET") -> int:
    """The status that such a request gets."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        "state": {"inside": inside},
    }
    status = 0

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


async def test_it_may_what_the_key_may(path: Path, make_key: MakeKey) -> None:
    make_key("laptop")
    make_key("reader", "models:read")
    make_key("old", seconds=-1)
    async with wired(path.parent, plugins={"auth-keys": "jan_auth_keys"}, modules=EVERYTHING) as jan:
        app = create_app(jan)
        assert await ask(app, call.Inside("laptop")) == 200
        assert await ask(app, call.Inside("laptop"), "/v1/threads", "POST") == 200
        assert await ask(app, call.Inside("reader")) == 200
        assert await ask(app, call.Inside("reader"), "/v1/threads", "POST") == 403
        assert await ask(app, call.Inside("old")) == 401
        assert await ask(app, call.Inside("nobody")) == 401
        # Whoever runs the server needs no key to use it as a library.
        assert await ask(app, call.Inside(None)) == 200


async def test_only_the_server_itself_can_mark_a_request(path: Path, make_key: MakeKey) -> None:
    make_key("laptop")
    async with (
        wired(path.parent, plugins={"auth-keys": "jan_auth_keys"}, modules=EVERYTHING) as jan,
        client(jan, base_url="http://localhost") as http,
    ):
        app = create_app(jan)
        for forged in ("laptop", {"key_name": "laptop"}, True, None):
            assert await ask(app, forged) == 401
        headers = {"inside": "laptop", "x-inside": "laptop", "state": '{"inside": "laptop"}'}
        assert (await http.get("/v1/models", headers=headers)).status_code == 401
