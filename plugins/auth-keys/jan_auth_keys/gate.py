"""The layer around the app: who has no valid key gets no further than here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jan_auth_keys.entries import Key, Keys, Unreadable
from jan_auth_keys.scopes import access_of
from jan_auth_keys.token import read_token
from jan_core import call
from jan_core.errors import Forbidden, JanError, Unauthorized, Unavailable
from jan_core.http import send_error

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from jan_auth_keys.file import KeysFile
    from jan_core.asgi import Routes

OPEN = "/health"
"""The one path that needs no key: what watches a server must not need a secret."""
SMALL = 65_536
"""Bytes of a refused request's body that are worth reading to keep the connection."""

_HOW = "Send `Authorization: Bearer KEY`; whoever runs this server makes keys with `jan keys add`."
_NONE = f"This server asks for a key. {_HOW}"
_SEVERAL = "There is more than one Authorization header. Send one."
_WRONG = f"That key is not known here, or was revoked. {_HOW}"


class Gate:
    """Lets a request through that has a valid key whose scopes allow it; its key's name goes into the call context.

    Without a valid key every path but `/health` is answered 401, also those that do not exist. A key that may not do
    what is asked is answered 403. While nobody can tell which keys there are, whatever looks like one is answered 503.
    What is further in never sees a key: the header is taken out of the request.

    Args:
        app: what it goes around.
        keys: the file of the keys.
        routes: the app's routes.
    """

    def __init__(self, app: ASGIApp, keys: KeysFile, routes: Routes) -> None:
        self.app = app
        self._keys = keys
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] == "http":
            if scope["path"] != OPEN:
                try:
                    self._check(scope)
                except JanError as error:
                    if _has_long_body(scope):
                        error.headers["Connection"] = "close"
                    await send_error(scope, send, error)
                    return
        elif scope["type"] != "lifespan":  # nothing that could carry a request is let past
            return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Return where the request may go on; raise what it is answered with otherwise."""
        inside = call.inside(scope)
        if inside is None:
            key = self._presented(scope)
        elif inside.key_name is None:  # by whoever runs this server
            return
        else:
            key = self._named(inside.key_name)
        if key.expires <= time.time():
            raise _unauthorized(f"The key {key.name!r} has expired. {_HOW}", "invalid_token")
        context = call.current()
        if context is not None:
            context.key_name = key.name
        if key.scopes is not None:
            self._check_scopes(key, scope)
        scope["headers"] = [one for one in scope["headers"] if one[0] != b"authorization"]

    def _presented(self, scope: Scope) -> Key:
        """The key that a request has, which may have expired."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            raise _unauthorized(_SEVERAL if given else _NONE)
        scheme, _, text = given[0].partition(b" ")
        if scheme.lower() != b"bearer" or not text:
            raise _unauthorized(_NONE)
        token = read_token(text.strip())
        if token is None:
            raise _unauthorized(_WRONG, "invalid_token")
        key = self._current().find(token)
        if key is None:
            raise _unauthorized(_WRONG, "invalid_token")
        return key

    def _named(self, name: str) -> Key:
        """The key of this name, for a request from within: it may have been revoked meanwhile."""
        for key in self._current().by_id.values():
            if key.name == name:
                return key
        raise _unauthorized(f"The key {name!r} is not known here any more.", "invalid_token")

    def _current(self) -> Keys:
        try:
            return self._keys.current()
        except Unreadable:
            # Logged where it was read. What exactly is wrong concerns nobody who has no key.
            told = "This server cannot read its keys at the moment; its log says why."
            raise Unavailable(told, code="keys_unreadable") from None

    def _check_scopes(self, key: Key, scope: Scope) -> None:
        """Refuse what the key's scopes do not allow, and what no route is known for: nobody can tell whose it is."""
        assert key.scopes is not None
        method = scope["method"]
        found = self._routes.answering(scope)
        may = f"it may use {', '.join(key.scopes.listed) or 'nothing'}."
        if found is None:
            raise _forbidden(f"Nothing answers {method} {scope['path'][:200]} for the key {key.name!r}: {may}", "")
        access = access_of(method)
        if not found.owner and access == "read":  # the kernel's own, such as /openapi.json, says nothing of anybody
            return
        if not key.scopes.permit(found.owner, access):
            wanted = f"{found.owner}:{access}"
            told = f"{method} {found.path} needs a key that may use {wanted}, and {key.name!r} is none: {may}"
            raise _forbidden(told, wanted)


def _unauthorized(message: str, error: str = "") -> Unauthorized:
    challenge = 'Bearer realm="jan"' + (f', error="{error}"' if error else "")
    return Unauthorized(message, headers={"WWW-Authenticate": challenge})


def _forbidden(message: str, wanted: str) -> Forbidden:
    challenge = 'Bearer realm="jan", error="insufficient_scope"' + (f', scope="{wanted}"' if wanted else "")
    return Forbidden(message, code="insufficient_scope", headers={"WWW-Authenticate": challenge})


def _has_long_body(scope: Scope) -> bool:
    """True where the rest of a refused request would have to be read and thrown away at some cost."""
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and (len(value) > 6 or int(value) > SMALL)):
            return True
    return False
