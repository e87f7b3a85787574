from __future__ import annotations

import pytest
from jan_auth_keys.scopes import access_of, read_scopes


def test_endpoints_to_read_to_write_or_both() -> None:
    scopes = read_scopes(["chat", "models:read", "threads:write", "metrics-prometheus:read"])
    allowed = {
        (owner, access)
        for owner in ("chat", "models", "threads", "messages", "metrics-prometheus", "*", "")
        for access in ("read", "write")
        if scopes.permit(owner, access)
    }
    assert allowed == {
        ("chat", "read"),
        ("chat", "write"),
        ("models", "read"),
        ("threads", "write"),
        ("metrics-prometheus", "read"),
    }
    assert scopes.names() == ["chat", "models", "threads", "metrics-prometheus"]


def test_every_endpoint_to_read() -> None:
    scopes = read_scopes(["*:read", "chat"])
    assert scopes.permit("whatever", "read")
    assert scopes.permit("chat", "write")
    assert not scopes.permit("whatever", "write")
    assert scopes.names() == ["chat"]
    everything = read_scopes(["*"])
    assert everything.permit("a", "read")
    assert everything.permit("a", "write")


def test_nothing() -> None:
    assert not read_scopes([]).permit("chat", "read")


@pytest.mark.parametrize(
    "text", ["", "chat:", ":read", "chat:both", "chat:read:write", "Chat", "chat write", "**", "chat\n"]
)
def test_no_scope(text: str) -> None:
    with pytest.raises(ValueError, match="is no scope: write an endpoint"):
        read_scopes(["models", text])


def test_methods() -> None:
    assert {method: access_of(method) for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "x")} == {
        "GET": "read",
        "HEAD": "read",
        "POST": "write",
        "DELETE": "write",
        "OPTIONS": "write",
        "x": "write",
    }
