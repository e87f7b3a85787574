"""A file of a stranger as a stream of numbers and texts that is never read past its end."""

from __future__ import annotations

import os
import struct
from typing import Any, BinaryIO

MOST_STRINGS = 4_000_000
"""Strings in all arrays of a header; the largest vocabularies, with their merges, have less than a million."""
_CHUNK = 1 << 18


class BadModelFile(Exception):
    """The file is no model that can be loaded.

    Attributes:
        path: the file.
        offset: the byte at which it was noticed.
        what: what was found there, as half a sentence.
    """

    def __init__(self, path: str, offset: int, what: str) -> None:
        super().__init__(f"{path} is damaged: {what} (at byte {offset})")
        self.path = path
        self.offset = offset
        self.what = what


class Stream:
    """The file, read in chunks.

    Args:
        path: for messages.
        file: open for reading bytes.
    """

    def __init__(self, path: str, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.order = "<"
        self.long = "Q"
        self.strings = 0
        self._buffer = b""
        self._start = 0  # where in the file the buffer begins
        self._at = 0

    @property
    def position(self) -> int:
        """The next byte's place in the file."""
        return self._start + self._at

    def bad(self, what: str, offset: int | None = None) -> BadModelFile:
        """An error about this place, or another one."""
        return BadModelFile(self.path, self.position if offset is None else offset, what)

    def skip(self, count: int) -> None:
        """Step over bytes.

        Raises:
            BadModelFile: the file ends before.
        """
        if self.position + count > self.size:
            raise self.bad(f"it should go on, but ends at byte {self.size}", min(self.position, self.size))
        self._at += count

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            BadModelFile: the file ends before.
        """
        self._fill(count)
        found = self._buffer[self._at : self._at + count]
        self._at += count
        return found

    def number(self, code: str) -> Any:
        """The next number, of a type as `struct` calls it.

        Raises:
            BadModelFile: the file ends before, or a truth value is neither 0 nor 1.
        """
        form = self.order + code
        count = struct.calcsize(form)
        self._fill(count)
        if code == "?" and self._buffer[self._at] > 1:
            raise self.bad(f"{self._buffer[self._at]} is neither true nor false")
        value = struct.unpack_from(form, self._buffer, self._at)[0]
        self._at += count
        return value

    def text(self, longest: int, what: str) -> bytes:
        """The next text: its length, of type `long`, and its bytes.

        Raises:
            BadModelFile: it is longer than `longest`; or the file ends before.
        """
        length: int = self.number(self.long)
        if length > longest:
            raise self.bad(f"{what} of {length} bytes; {longest} are the most")
        return self.take(length)

    def skip_strings(self, count: int) -> None:
        """Step over texts.

        Raises:
            BadModelFile: there are too many for a header, or the file ends before.
        """
        self.strings += count
        form = struct.Struct(self.order + self.long)
        width = form.size
        if count * width > self.size - self.position or self.strings > MOST_STRINGS:
            raise self.bad(f"an array of {count} strings")
        unpack = form.unpack_from
        buffer, at, last = self._buffer, self._at, len(self._buffer) - width
        for _ in range(count):
            if at > last:
                self._at = at
                self._fill(width)
                buffer, at, last = self._buffer, self._at, len(self._buffer) - width
            at += width + unpack(buffer, at)[0]
        self._at = at
        self.skip(0)

    def _fill(self, count: int) -> None:
        if self._at + count <= len(self._buffer):
            return
        self.skip(count)
        position = self._start = self.position - count
        self._at = 0
        self.file.seek(position)
        self._buffer = self.file.read(max(count, _CHUNK))
        if len(self._buffer) < count:
            raise self.bad("the file was cut short while it was read")
