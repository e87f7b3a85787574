"""What is looked at when a server starts."""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING

from jan_auth_keys.entries import Unreadable
from jan_auth_keys.file import KeysFile, others_may
from jan_auth_keys.gate import Gate
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from jan_auth_keys.settings import Settings
    from jan_core.app import Jan

log = logging.getLogger("jan")

_MAKE = "Make a key: jan keys add NAME."


def gate(settings: Settings, jan: Jan) -> Callable[[ASGIApp], ASGIApp]:
    """Return what puts the gate around an app; warn where nobody can use the server yet.

    Raises:
        Refusal: there is a file of keys, and it cannot be read.
    """
    file = KeysFile(settings.path(jan.root))
    fault = _fault(file)
    if fault:
        log.warning("auth-keys: %s: %s, so nobody can use this server. %s", file.path, fault, _MAKE)
    may = others_may(file.path)
    if may:
        log.warning("auth-keys: others than its owner may %s %s: chmod 600 %s", may, file.path, file.path)
    routes = jan.routes
    assert routes is not None, "asgi_wrapper is called when the routes are known"
    return partial(Gate, keys=file, routes=routes)


def check_keys(settings: Settings, jan: Jan) -> None:
    """Return where at least one key is valid now.

    Raises:
        Refusal: none is.
    """
    file = KeysFile(settings.path(jan.root))
    fault = _fault(file)
    if fault:
        raise Refusal(_asked(file), f"{fault}, so nobody could use the server", _MAKE)


def _fault(file: KeysFile) -> str:
    """Why no key holds now; empty where one does."""
    if not os.path.lexists(file.path):
        return "there is no such file"
    try:
        keys = file.current()
    except Unreadable as error:
        raise Refusal(_asked(file), str(error), "Mend the file, or move it away and make keys anew.") from None
    now = time.time()
    if any(key.expires > now for key in keys.by_id.values()):
        return ""
    return "all of its keys have expired" if keys.by_id else "it holds no key that counts"


def _asked(file: KeysFile) -> str:
    return f"plugin 'auth-keys', whose keys are in {file.path}"
