"""Names that lead to private addresses: asked only where the config says that they may, and with nothing of the key.

The app runs within the test, since no name with a public ending leads here otherwise; the upstream is a real one.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from jan_core.inprocess import client
from jan_core.testing.wired import one_module
from tests.e2e.upstreams import SECRET, said
from tests.upstreams import front
from tests.upstreams.process import Scripted

PUBLIC = "api.example.com"
MODEL = "distant"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("host", "more", "reached"),
    [
        (PUBLIC, {}, False),
        (PUBLIC, {"private": True}, True),
        ("gpu1", {}, True),
        ("127.0.0.1", {}, True),
    ],
)
async def test_a_private_address_is_asked_where_the_config_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, more: dict[str, Any], reached: bool
) -> None:
    found = socket.getaddrinfo

    def leading_here(name: Any, *given: Any, **named: Any) -> Any:
        return found("127.0.0.1" if name in (PUBLIC, "gpu1") else name, *given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", leading_here)
    monkeypatch.setenv("THEIR_KEY", SECRET)
    with Scripted(models=[MODEL], key=SECRET) as behind:
        described = {
            "name": "one",
            "url": f"http://{host}:{behind.port}/v1",
            "key_env": "THEIR_KEY",
            "models": [MODEL],
            **more,
        }
        app = one_module(tmp_path, "chat", "chat-openai", tables=front.backend(described))
        async with app as jan, client(jan) as http:
            reply = await http.post("chat/completions", json={"model": MODEL, "messages": said("hello")})
        came = behind.told()["connections"] - 1  # one is how it is asked what came
    if reached:
        assert reply.status_code == 200, reply.text
        assert reply.json()["choices"][0]["message"]["content"] == "hello "
    else:
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "upstream_unavailable")
        assert "write private = true" in reply.text
        assert PUBLIC in reply.text
        assert came == 0, "it was connected to"
        assert SECRET not in reply.text
