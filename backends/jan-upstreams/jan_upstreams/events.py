"""Server-sent events, read out of whatever pieces the network gives.

Source of the format: the WHATWG HTML standard, "Server-sent events".
"""

from __future__ import annotations

from collections.abc import Iterator

LONGEST = 4 << 20
"""Bytes of one event, at most."""


class TooLong(Exception):
    """An event, or a line, that has no end."""


class Events:
    """The data of the events in a stream of bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._size = 0
        self._cut = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data of the events that are whole now, in their order.

        Raises:
            TooLong: one is larger than it may be.
        """
        if self._cut and data[:1] == b"\n":  # the other half of a line's end
            data = data[1:]
        self._cut = data[-1:] == b"\r" if data else self._cut
        text = self._rest + data if self._rest else data
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = text.split(b"\n")
        for line in lines:
            if not line:
                if self._lines:
                    found, self._lines, self._size = self._lines, [], 0
                    yield found[0] if len(found) == 1 else b"\n".join(found)
            elif line[:5] == b"data:":
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._size += len(value)
                self._lines.append(value)
        if len(self._rest) + self._size > LONGEST:
            raise TooLong

    @property
    def within(self) -> bool:
        """Whether something has come that is no whole event."""
        return bool(self._rest or self._lines)
