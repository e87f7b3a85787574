"""What is written into the file of keys: one more, or one less."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jan_auth_keys.entries import NAME, Key
from jan_auth_keys.file import change
from jan_auth_keys.scopes import Scopes
from jan_auth_keys.token import digest_of, new_token, written
from jan_core.errors import Conflict, InvalidRequest, NotFound

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def add(path: str, root: Path, name: str, scopes: Scopes | None, expires: float) -> tuple[Key, str]:
    """Make a key and keep what may be kept of it. Blocks.

    Args:
        path: of the file of keys.
        root: the root folder.
        name: what people call it.
        scopes: what it may do; None for everything.
        expires: when it ends, in Unix seconds; infinite for never.

    Returns:
        What is kept, and the key itself, which is nowhere else.

    Raises:
        InvalidRequest: the name is none, or the file cannot be changed as it is.
        Conflict: there is a key of that name.
        OSError: the file cannot be written.
    """
    import tomlkit

    if NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{name[:100]!r} cannot be a key's name: use letters, digits and . _ @ + -, up to 64 of them, and begin "
            "with a letter or a digit."
        )
    token = new_token()
    created = float(int(time.time()))
    key = Key(name, token.id, digest_of(token), scopes, created, expires)
    entry = tomlkit.table()
    entry["id"] = token.id.decode()
    entry["hash"] = key.digest.hex()
    entry["created"] = _moment(created)
    if expires != math.inf:
        entry["expires"] = _moment(expires)
    if scopes is not None:
        entry["allow"] = list(scopes.listed)

    def put(document: TOMLDocument) -> None:
        if "keys" not in document:
            document["keys"] = tomlkit.table(is_super_table=True)
        keys: Any = document["keys"]
        if name in keys:
            raise Conflict(f"There is a key {name!r} in {path} already. Take another name, or: jan keys revoke {name}")
        keys[name] = entry

    change(path, root, put)
    return key, written(token)


def revoke(path: str, root: Path, name: str) -> None:
    """Take a key out of the file, also one that counts for nothing. Blocks.

    Raises:
        NotFound: there is no key of that name.
        InvalidRequest: the file cannot be changed as it is.
        OSError: the file cannot be written.
    """

    def take(document: TOMLDocument) -> None:
        keys: Any = document.get("keys", {})
        if name not in keys:
            close = get_close_matches(name, list(keys), 1)
            hint = f"did you mean {close[0]!r}?" if close else "`jan keys ls` lists them."
            raise NotFound(f"There is no key {name[:100]!r} in {path}; {hint}")
        del keys[name]

    change(path, root, take)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)
