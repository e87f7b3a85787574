"""What server processes tell each other of folders that they make and remove, so that none has to look for it.

The news stand in one file, a line each, which every process follows as it grows. Nothing depends on them: a process
that missed some looks at the folder itself. They are not flushed, and begin anew when they have become long.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from jan_core.folder.calls import DISK
from jan_core.folder.replace import replace_file

LONGEST = 1 << 20
"""Bytes after which the file begins anew."""

Look = tuple[int, ...]
"""What a folder looked like: changes when a name in it comes or goes."""


@dataclass(frozen=True, slots=True)
class Change:
    """A folder came or went.

    Attributes:
        home: the folder that holds it.
        name: its name.
        time: when the object in it was made, in Unix seconds; None where the folder went.
        before: what `home` looked like before.
        after: what it looked like then.
    """

    home: str
    name: str
    time: int | None
    before: Look | None
    after: Look | None


class News:
    """The news of one kind of folders, as one process follows them. Not safe for several threads.

    Args:
        path: of the file; its folder may be missing as long as nothing is told.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._place: tuple[int, int] = (0, 0)

    def follow(self) -> None:
        """Take everything told so far for known."""
        self._place = self._end()

    def has_more(self) -> bool:
        """True where `read` would return something, or None."""
        return self._end() != self._place

    def read(self) -> list[Change] | None:
        """What was told since the last call, the oldest first; None where something was missed."""
        number, size = self._end()
        if (number, size) == self._place:
            return []
        known, offset = self._place
        if number != known or size < offset:
            # A first file is not news that was missed.
            offset = 0
            if known != 0 or number == 0:
                self._place = (number, size)
                return None
        try:
            descriptor = DISK.open(self.path)
            try:
                if os.fstat(descriptor).st_ino != number:
                    self._place = (0, 0)
                    return None
                content = DISK.read(descriptor, size - offset, offset)
            finally:
                DISK.close(descriptor)
            changes = [_change(line) for line in content.splitlines() if line]
        except (OSError, ValueError, TypeError):
            self._place = (number, size)
            return None
        self._place = (number, size)
        return changes

    def tell(self, change: Change) -> None:
        """Tell of a change. Whoever calls holds the lock of the news.

        Raises:
            OSError: it cannot be told.
        """
        fields = [change.home, change.name, change.time, change.before, change.after]
        # A line that a crash cut short is ended first: an empty line does no harm.
        line = b"\n" + json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        number, size = self._end()
        if number == 0 or size > LONGEST:
            current = (number, size) == self._place
            replace_file(self.path, line)
            if current:
                # Others look for themselves; this process knows everything before.
                self._place = (self._end()[0], 0)
            return
        descriptor = DISK.open_to_change(self.path)
        try:
            DISK.write(descriptor, line, size)
        finally:
            DISK.close(descriptor)

    def _end(self) -> tuple[int, int]:
        try:
            found = os.stat(self.path)
        except OSError:
            return (0, 0)
        return found.st_ino, found.st_size


def _change(line: bytes) -> Change:
    home, name, time, before, after = json.loads(line)
    if not isinstance(home, str) or not isinstance(name, str) or not isinstance(time, int | None):
        raise ValueError("no change")
    return Change(home, name, time, _look(before), _look(after))


def _look(found: list[int] | None) -> Look | None:
    return None if found is None else tuple(found)
