"""The file of the keys: read anew when it has changed, and changed so that nobody else can open it."""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from jan_auth_keys.entries import Keys, Unreadable, read_keys
from jan_core.errors import InvalidRequest
from jan_core.folder.calls import DISK
from jan_core.folder.locks import Locks
from jan_core.folder.replace import replace_file
from jan_core.folder.signature import Signature, is_settled, signature

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

T = TypeVar("T")

log = logging.getLogger("jan")

LONGEST = 1 << 20
"""Bytes that such a file may have: some six thousand keys, which take a third of a second to read after a change."""

_HEAD = """\
# Who may use this Jan: `jan keys add NAME` makes a key, `jan keys revoke NAME` takes it away. What is changed here by
# hand holds from the next request on. Of a key only a hash is kept: nobody can read it here.
#
#   expires   the day or the moment from which it is refused; without it, never
#   allow     what it may do, such as ["chat", "models:read", "*:read"]; without it, everything
"""


class KeysFile:
    """The keys of one file, as it is now. Used from one thread.

    Args:
        path: of the file; it need not exist.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: Signature | None = None
        self._settled = False
        self._found: Keys | Unreadable = Unreadable("it has not been read")
        self._told: object = None

    def current(self) -> Keys:
        """The keys as the file has them. It is read only when it has changed, which one look at it tells.

        What is wrong with it is logged, once for each state of the file.

        Raises:
            Unreadable: nobody's key can be judged: the file is missing, holds nothing, or is no TOML.
        """
        now = time.time_ns()
        found = signature(self.path)
        if found is None or found != self._seen or not self._settled:
            self._read(found, now)
        if isinstance(self._found, Unreadable):
            raise self._found.with_traceback(None)
        return self._found

    def _read(self, found: Signature | None, now: int) -> None:
        self._seen, self._settled = found, is_settled(found, now)
        try:
            self._found = read(self.path)
        except Unreadable as error:
            self._found = error
        told = str(self._found) if isinstance(self._found, Unreadable) else self._found.faults
        if told == self._told:
            return
        self._told = told
        for fault in [told] if isinstance(told, str) else told:
            log.error("auth-keys: %s: %s", self.path, fault)


def read(path: str) -> Keys:
    """The keys of a file, read now.

    Raises:
        Unreadable: nobody's key can be judged: the file is missing, holds nothing, or is no TOML.
    """
    raw = _content(path)
    if not raw.strip():
        raise Unreadable("it is empty")  # as it is for a moment while an editor saves it
    return read_keys(raw)


def change(path: str, root: Path, edit: Callable[[TOMLDocument], T]) -> T:
    """Change the file durably, its comments kept, for its owner only. Blocks.

    Args:
        path: of the file; it and its folder are made where they are missing. A link is followed.
        root: whose lock is held meanwhile.
        edit: changes the document, and returns what this returns. What it raises leaves the file as it was.

    Raises:
        InvalidRequest: what is there now is no TOML, and is not written over.
        OSError: it cannot be read or written.
    """
    import tomlkit

    with Locks(root).hold("auth-keys"):
        target = os.path.realpath(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            raw = (_content(target) if os.path.lexists(target) else b"") or _HEAD.encode()
            read_keys(raw)
        except Unreadable as error:
            raise InvalidRequest(f"{path} cannot be changed: {error}. Mend it first.") from None
        document = tomlkit.parse(raw.decode("utf-8-sig"))
        done = edit(document)
        replace_file(target, tomlkit.dumps(document).encode(), mode=0o600)
        return done


def others_may(path: str) -> str:
    """What others than the owner may do with the file: `read`, `write`, `read and write`, or nothing."""
    if os.name == "nt":
        return ""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    may = [(stat.S_IRGRP | stat.S_IROTH, "read"), (stat.S_IWGRP | stat.S_IWOTH, "write")]
    return " and ".join(word for bits, word in may if mode & bits)


def _content(path: str) -> bytes:
    """What the file holds.

    Raises:
        Unreadable: it cannot be read.
    """
    try:
        descriptor = DISK.open(path)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is no file")
            raw = DISK.read(descriptor, LONGEST + 1, 0)
        finally:
            DISK.close(descriptor)
    except OSError as error:
        raise Unreadable("there is no such file" if isinstance(error, FileNotFoundError) else str(error)) from None
    if len(raw) > LONGEST:
        raise Unreadable(f"it has more than {LONGEST} bytes")
    return raw
