"""What is refused before anything else looks at a request: other sites' pages, other types, and too much of it.

A server on loopback is within reach of every web page its user opens. Three things keep pages out: the `Host` must be
one of this server's names (a name that an attacker points at 127.0.0.1 is not), the `Origin` must be this server's own
or a listed one, and JSON routes take nothing a page may send without asking first. Decisions use only the path and
the headers of the ASGI scope; no URL is put together from the `Host`.
"""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import lru_cache
from typing import Any, Final

from jan_core.errors import Forbidden, InvalidRequest, JanError, Misdirected, TooLarge, UnsupportedMediaType

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LABEL = rb"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rb"(?:\[([0-9a-f:.]{2,45})\]|(%s(?:\.%s)*))(?::([0-9]{1,5}))?" % (_LABEL, _LABEL))
_ORIGIN = re.compile(rb"[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+")
_TOKENS = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_PORTS: Final = {b"http": 80, b"https": 443}
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_READ: Final = frozenset(
    {
        b"host",
        b"origin",
        b"content-type",
        b"content-length",
        b"transfer-encoding",
        b"sec-fetch-site",
        b"sec-fetch-mode",
        b"sec-fetch-dest",
    }
)


def new_request_id() -> str:
    """A new id for a request, `req_` and 24 hexadecimal digits."""
    return "req_" + secrets.token_hex(12)


def rendered(error: JanError, request_id: str | None, *, close: bool) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of the reply that tells `error`; without `x-request-id` where `request_id` is None."""
    body = json.dumps(error.body()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    if request_id is not None:
        headers.append((b"x-request-id", request_id.encode()))
    if close:
        headers.append((b"connection", b"close"))
    return headers, body


class Guard:
    """An ASGI application around another one, that answers what must not reach it.

    In this order: 421 for a `Host` that is missing, doubled, malformed or not in `hosts`; 403 for a web page of another
    origin; 415 for a POST, PUT or PATCH whose body is not JSON; 413 for a body that is too large. Listed origins get
    their CORS headers, and their preflights are answered here. WebSockets are closed; other scopes pass untouched.

    Args:
        app: the application.
        hosts: names and addresses that the server answers to, without port, in any case, IPv6 with or without brackets;
            None for every well-formed one.
        origins: origins besides the server's own whose pages may use it, such as `https://app.example` or
            `tauri://localhost`; `null` for pages that have none.
        body_bytes: largest request body, in bytes, from 0.
        multipart_paths: paths, with `{name}` for a variable part, that take `multipart/form-data` besides JSON.

    Raises:
        ValueError: a host or an origin in the lists is not one; `*` is not an origin.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str] | None,
        origins: Iterable[str],
        body_bytes: int,
        multipart_paths: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(map(_listed_host, hosts))
        self._origins = frozenset(map(_listed_origin, origins))
        self._body_bytes = body_bytes
        paths = (
            "/".join("[^/]+" if p.startswith("{") else re.escape(p) for p in m.split("/")) for m in multipart_paths
        )
        self._multipart = re.compile("|".join(paths)) if multipart_paths else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        found: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            if name in _READ:
                # Doubled headers are joined as HTTP has it, and no check below takes a joined value.
                found[name] = found[name] + b", " + value if name in found else value
        origin = found.get(b"origin")
        listed = origin is not None and origin.lower() in self._origins
        error = self._foreign(scope, found, listed)
        if origin is not None and listed and error is None:
            if scope["method"] == "OPTIONS" and _header(scope, b"access-control-request-method") is not None:
                await _preflight(scope, send, origin)
                return
            send = _with_cors(send, origin)
        length = found.get(b"content-length")
        chunked = b"transfer-encoding" in found
        if (length is not None or chunked) and error is None:
            error = self._unwanted(scope, found)
        if error is not None:
            await _answer(error, scope, send, close=chunked or length not in (None, b"0"))
        elif chunked:
            counted = _Counted(scope, receive, send, self._body_bytes)
            await self._app(scope, counted.receive, counted.send)
        else:
            await self._app(scope, receive, send)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "This server has no WebSockets."})
        else:
            await self._app(scope, receive, send)

    def _foreign(self, scope: Scope, found: dict[bytes, bytes], listed: bool) -> JanError | None:
        """The refusal of a request that was not meant for this server, or that another site's page sent."""
        raw = found.get(b"host")
        host = _host(raw) if raw is not None and len(raw) <= 300 else None
        if host is None or (self._hosts is not None and host[0] not in self._hosts):
            return Misdirected(
                f"This server does not answer for the host {_shown(raw)}. Use one of its own names in the URL, "
                "or add this one to the hosts it is configured to answer for."
            )
        origin = found.get(b"origin")
        if origin is not None:
            if listed or (len(origin) <= 300 and _same(origin.lower(), host)):
                return None
            return Forbidden(
                f"Web pages of the origin {_shown(origin)} may not use this server. "
                "If they should, add it to the origins that are configured as allowed.",
                code="origin_not_allowed",
            )
        if found.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin", b"same-site"):
            return None
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        navigation = (found.get(b"sec-fetch-mode"), found.get(b"sec-fetch-dest")) == (b"navigate", b"document")
        if navigation and scope["method"] == "GET" and path != "/v1" and not path.startswith("/v1/"):
            return None
        return Forbidden("Another site's web page asked for this, and it may not.", code="origin_not_allowed")

    def _unwanted(self, scope: Scope, found: dict[bytes, bytes]) -> JanError | None:
        """The refusal of a body for its type or its size."""
        length = found.get(b"content-length", b"0")
        if not length.isdigit():
            return InvalidRequest(f"The header Content-Length must be a number, and is {_shown(length)}.")
        if scope["method"] in _WITH_BODY and (length.strip(b"0") or b"transfer-encoding" in found):
            kind = found.get(b"content-type")
            if kind != b"application/json" and not self._takes(scope, kind):
                given = "has no Content-Type" if kind is None else f"has the Content-Type {_shown(kind)}"
                return UnsupportedMediaType(f"The body {given}. Send JSON in UTF-8, as application/json.")
        if len(length) > 18 or int(length) > self._body_bytes:
            return _too_large(self._body_bytes)
        return None

    def _takes(self, scope: Scope, kind: bytes | None) -> bool:
        if kind is None or len(kind) > 300:
            return False
        if _is_json(kind):
            return True
        form = kind.partition(b";")[0].strip().lower() == b"multipart/form-data"
        return form and self._multipart is not None and self._multipart.fullmatch(scope["path"]) is not None


class _Counted:
    """A request without a length: its body is counted as it is received, and answered 413 from here once over."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = limit
        self._size = 0
        self._started = False
        self._refused = False

    async def receive(self) -> Message:
        if self._size > self._limit:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size <= self._limit:
            return message
        if not self._started:
            # The application cannot get this wrong: it is answered here, and whatever it sends after is dropped.
            self._refused = True
            await _answer(_too_large(self._limit), self._scope, self._send, close=True)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if not self._refused:
            self._started = True
            await self._send(message)


async def _answer(error: JanError, scope: Scope, send: Send, *, close: bool) -> None:
    headers, body = rendered(error, _new_id(scope), close=close)
    scope.setdefault("state", {})["error"] = error.code or error.type
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _preflight(scope: Scope, send: Send, origin: bytes) -> None:
    asked = _header(scope, b"access-control-request-headers") or b""
    names = asked if len(asked) <= 2000 and _TOKENS.fullmatch(asked) else b"authorization, content-type"
    headers = [
        (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
        (b"access-control-allow-headers", names),
        (b"access-control-max-age", b"600"),
    ]
    request_id = _new_id(scope)
    if request_id:
        headers.append((b"x-request-id", request_id.encode()))
    send = _with_cors(send, origin)
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _with_cors(send: Send, origin: bytes) -> Send:
    async def cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", b"x-request-id, retry-after, openai-poll-after-ms"),
                (b"vary", b"origin"),
            ]
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        await send(message)

    return cors


def _new_id(scope: Scope) -> str | None:
    """An id for a request that has none yet; the layer that gave it one puts it on the reply itself."""
    state = scope.setdefault("state", {})
    if "request_id" in state:
        return None
    state["request_id"] = request_id = new_request_id()
    return request_id


def _header(scope: Scope, wanted: bytes) -> bytes | None:
    return next((value for name, value in scope["headers"] if name == wanted), None)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request's body is over this server's limit of {limit} bytes. Send less.")


def _shown(value: bytes | None) -> str:
    """A header's value for an error message: printable, and no longer than a line."""
    return "(none)" if value is None else ascii(value[:100].decode("latin-1"))


@lru_cache(maxsize=128)
def _host(value: bytes) -> tuple[bytes, int | None] | None:
    """Name, in small letters and without brackets, and port of a `Host` (RFC 9110, 7.2); None if it is not one."""
    match = _HOST.fullmatch(value.lower())
    if match is None:
        return None
    address, name, port = match.groups()
    number = None if port is None else int(port)
    if number is not None and number > 65535:
        return None
    if address is not None:
        try:
            name = ipaddress.IPv6Address(address.decode()).compressed.encode()
        except ValueError:
            return None
    return name, number


@lru_cache(maxsize=128)
def _same(origin: bytes, host: tuple[bytes, int | None]) -> bool:
    """Whether `origin`, in small letters, is the server that was asked under `host`."""
    scheme, _, rest = origin.partition(b"://")
    default = _PORTS.get(scheme)
    found = _host(rest)
    if default is None or found is None:
        return False
    return found[0] == host[0] and (found[1] or default) == (host[1] or default)


@lru_cache(maxsize=128)
def _is_json(kind: bytes) -> bool:
    """Whether a Content-Type is JSON in UTF-8."""
    name, *parameters = kind.lower().split(b";")
    for parameter in parameters:
        key, _, value = parameter.partition(b"=")
        if key.strip() == b"charset" and value.strip().strip(b'"') not in (b"utf-8", b"utf8"):
            return False
    return name.strip() == b"application/json"


def _listed_host(name: str) -> bytes:
    bare = name.strip("[]")
    found = _host((f"[{bare}]" if ":" in bare else bare).encode("utf-8"))
    if found is None or found[1] is not None:
        raise ValueError(f"{name!r} is not a host: give a name or an address without scheme and port")
    return found[0]


def _listed_origin(origin: str) -> bytes:
    found = origin.lower().removesuffix("/").encode("utf-8")
    if found != b"null" and _ORIGIN.fullmatch(found) is None:
        raise ValueError(f"{origin!r} is not an origin: give scheme, host and port, such as 'https://app.example:8443'")
    return found
