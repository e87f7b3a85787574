"""Which folders may hold threads, and the note of those in which threads were made.

An assistant's `thread_location` may change, the assistant may be deleted, and its file be damaged: the threads that
were made there stay where they are, and are found by this note. It is one small file, `threads/.homes.json`:

    {"homes": ["work/threads"]}

`threads/` itself and `assistants/<id>/threads` need no note. A note that is lost or damaged costs nothing as long as
the assistants' files say the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jan_core.folder.calls import DISK
from jan_core.folder.locks import Locks
from jan_core.folder.names import is_name
from jan_core.folder.objects import Damaged, line_of, read_object, write_object
from jan_core.folder.signature import Signature, is_settled, signature

THREADS = "threads"
"""The name of a folder that holds threads."""
ASSISTANTS = "assistants"
"""The name of the folder that holds the assistants."""
NOTE = ".homes.json"
"""The name of the note, in the root's `threads/`."""

_RESERVED = frozenset({"models", "files", "vector_stores", "logs", "version", "root"})
# The configuration, and files that plugins keep in the root, perhaps not yet.
_FILES = (".toml", ".json", ".jsonl")


class NotedHomes:
    """The note of one root. Every method may be called from several threads and processes.

    Args:
        root: the root folder.
    """

    def __init__(self, root: str) -> None:
        self.path = os.path.join(root, THREADS, NOTE)
        self._root = root
        self._known: tuple[Signature | None, bool, tuple[str, ...]] = (None, True, ())

    def names(self) -> tuple[str, ...]:
        """The homes, as paths from the root with `/`; none where there is no note, or a damaged one.

        The note is read again where it is not what it was; otherwise this takes two microseconds.
        """
        seen, settled, names = self._known
        found = signature(self.path)
        if settled and found == seen:
            return names
        now = time.time_ns()
        try:
            names, seen = self.read()
            names = tuple(name for name in names if location_fault(name) is None)
        except (OSError, Damaged):
            names, seen = (), found
        self._known = (seen, is_settled(seen, now), names)
        return names

    def read(self) -> tuple[tuple[str, ...], Signature]:
        """What stands in the note, also what can be no home, and the signature of its file. Blocks.

        Raises:
            Damaged: it is no list of texts.
            FileNotFoundError: there is none.
            OSError: it cannot be read.
        """
        values, seen, content = read_object(self.path)
        homes = values.get("homes")
        if not isinstance(homes, list) or not all(isinstance(one, str) for one in homes):
            raise Damaged(self.path, line_of(content, "homes"), "`homes` must be a list of paths from the root")
        return tuple(homes), seen

    def add(self, name: str) -> None:
        """Note a home durably; nothing where it stands there already. Blocks. The folder of the note must exist.

        A damaged note is kept beside the new one, as `.homes.json.broken-<time>`.

        Raises:
            OSError: it may not be on the disk.
        """
        with Locks(Path(self._root)).hold(self.path):
            values: dict[str, Any] = {}
            homes: tuple[str, ...] = ()
            try:
                homes, _ = self.read()
                values = read_object(self.path)[0]
            except FileNotFoundError:
                pass
            except Damaged:
                DISK.replace(self.path, f"{self.path}.broken-{int(time.time())}")
            if name in homes:
                # Who wrote it may have been killed before its name was on the disk.
                DISK.sync_folder(os.path.dirname(self.path))
            else:
                write_object(self.path, {**values, "homes": [*homes, name]})


def location_fault(location: object) -> str | None:
    """Why a path from the root, as `thread_location` has it, can be no home of threads; None where it can be one."""
    if not isinstance(location, str):
        return "which is no path"
    if location == THREADS + "/":
        return "which may mean the root's or the assistant's own"
    parts = parts_of(location)
    if not parts:
        return "which is no path"
    for part in parts:
        if not is_name(part):
            return f"and {ascii(part)[:100]} cannot be the name of a folder here"
    # Compared without case: on some systems `Models` is `models`.
    first = parts[0].lower()
    if first in _RESERVED or first.endswith(_FILES) or (first in (ASSISTANTS, THREADS) and first != parts[0]):
        return f"and `{parts[0]}` is a name that the root needs"
    if first == ASSISTANTS and not (len(parts) == 3 and parts[2] == THREADS):
        return f"and `{parts[0]}` holds something else"
    if first == THREADS and len(parts) > 1:
        return "which lies where threads lie"
    return None


def parts_of(location: str) -> list[str]:
    """The names on the way from the root to what a `thread_location` other than `threads` means."""
    parts = location.removeprefix("ROOT/").split("/") if location != "ROOT" else []
    if parts and parts[-1] == "":
        parts.pop()
    return parts


def clash(name: str, others: Iterable[str]) -> str | None:
    """The first of some homes beside which another cannot be: one lies in the other, or they differ in case only.

    Args:
        name: of the home, as a path from the root with `/`.
        others: such paths.
    """
    path = name.lower() + "/"
    for other in others:
        one = other.lower() + "/"
        if other != name and (path.startswith(one) or one.startswith(path)):
            return other
    return None
