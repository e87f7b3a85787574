"""Talking to the server that runs: how `jan ps` and `jan models load` reach it."""

from __future__ import annotations

import http.client
import json
import os
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from jan_core.cli.options import config_from
from jan_core.errors import InvalidRequest, JanError, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

Url = Annotated[
    str | None, typer.Option("--url", help="Where the server answers.", show_default="[server] of jan.toml")
]

SECONDS = 3600
"""Longest time for a reply: loading a model takes as long as it takes, and the server has a limit of its own."""


def ask(
    root: Path | None, config: Path | None, url: str | None, request: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Send one request to the running server.

    Args:
        root: the root folder, as given.
        config: the config file, as given; it says where the server listens.
        url: where it answers instead.
        request: method and path, such as `GET /engines/models`.
        body: sent as JSON.

    Returns:
        The reply.

    Raises:
        Unavailable: no server answers there.
        InvalidRequest: the address is none, or what answers is not Jan.
        JanError: what the server said.
    """
    base = url or _address(root, config)
    place = urlsplit(base if "//" in base else f"http://{base}")
    try:
        port = place.port
    except ValueError:
        port = -1
    if port == -1 or place.scheme not in ("http", "https") or not place.hostname:
        raise InvalidRequest(f"--url {url}: that is no address; write it as http://127.0.0.1:1337.")
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(place.hostname, port, timeout=SECONDS)
    method, _, path = request.partition(" ")
    prefix = place.path.rstrip("/").removesuffix("/v1")
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key := os.environ.get("JAN_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request(method, prefix + path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        status, raw = reply.status, reply.read()
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        told = f"No server answers at {base} ({reason}). Start it: jan serve; or say where: --url."
        raise Unavailable(told) from None
    finally:
        connection.close()
    return _told(base, status, raw)


def _address(root: Path | None, config: Path | None) -> str:
    from jan_core.settings import ServerSettings

    server = config_from(root, config).table("server", ServerSettings)
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    host = anywhere.get(server.host, server.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{server.port}"


def _told(base: str, status: int, raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if status == 200 and isinstance(found, dict):
        return found
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        raise JanError(error["message"], code=error.get("code"))
    raise InvalidRequest(f"What answers at {base} is not Jan, or an older one (status {status}).")
