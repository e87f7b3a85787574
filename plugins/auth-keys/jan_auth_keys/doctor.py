"""What `jan doctor` looks at: is there a key that holds, is the file whole, and can nobody else open it."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

from jan_auth_keys.entries import Unreadable
from jan_auth_keys.file import others_may, read
from jan_core.check import Check, Verdict

if TYPE_CHECKING:
    from jan_auth_keys.settings import Settings
    from jan_core.app import Jan

_SHOWN = 10


def checks(settings: Settings, jan: Jan) -> list[Check]:
    """Return the checks of the file of keys."""
    path = settings.path(jan.root)
    return [
        Check("auth-keys: a key is valid", partial(_valid, path)),
        Check("auth-keys: every key is understood", partial(_understood, path, jan)),
        Check("auth-keys: the keys are the owner's only", partial(_private, path)),
    ]


def _valid(path: str) -> Verdict:
    add = "jan keys add NAME"
    if not os.path.lexists(path):
        return Verdict(False, f"There is no file {path}, so nobody can use the server.", add)
    try:
        keys = read(path).by_id.values()
    except Unreadable as error:
        return Verdict(False, f"{path} cannot be read: {error}.", "Mend the file.")
    now = time.time()
    valid = [key for key in keys if key.expires > now]
    over = [key.name for key in keys if key.expires <= now]
    gone = f" Expired: {', '.join(over[:_SHOWN])}." if over else ""
    if not valid:
        return Verdict(False, f"{path} holds no key that is valid.{gone}", add)
    return Verdict(True, f"{len(valid)} {'keys are' if len(valid) > 1 else 'key is'} valid.{gone}")


def _understood(path: str, jan: Jan) -> Verdict:
    if not os.path.lexists(path):
        return Verdict(True, "There are no keys yet.")
    try:
        keys = read(path)
    except Unreadable as error:
        return Verdict(False, f"{path} cannot be read: {error}.", "Mend the file.")
    faults = list(keys.faults)
    known = {*jan.endpoints, *(one.name for one, _ in [*jan.modules, *jan.plugins])}
    for key in keys.by_id.values():
        for name in key.scopes.names() if key.scopes is not None else ():
            if name not in known:
                faults.append(f"The key {key.name!r} may use {name!r}, which is not served here.")
    if not faults:
        return Verdict(True, "Nothing is damaged or left out.")
    more = [f"And {len(faults) - _SHOWN} more."] if len(faults) > _SHOWN else []
    return Verdict(False, " ".join(faults[:_SHOWN] + more), f"Mend what is named in {path}, or: jan keys revoke NAME")


def _private(path: str) -> Verdict:
    may = others_may(path)
    if may:
        return Verdict(False, f"Others than its owner may {may} {path}.", f"chmod 600 {path}")
    return Verdict(True, "Nobody else can open them.")
