"""How a pull tells what it is doing, without knowing who shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of every step of a pull, from the thread that called it."""

    def start(self, label: str, total: int | None, done: int = 0) -> None:
        """A step begins; it ends the one before.

        Args:
            label: what happens, for a person, such as `Downloading x.gguf`.
            total: bytes of the whole, None where nobody knows.
            done: bytes that an earlier attempt brought; they do not count for the speed.
        """

    def advance(self, n: int) -> None:
        """`n` more bytes of the current step, 0 or more."""

    def note(self, text: str) -> None:
        """One line that stays, such as `The connection was lost; trying again.`"""


def in_words(size: int) -> str:
    """A number of bytes as people write it, in powers of 1,000: `92.9 MB`."""
    if size < 1000:
        return f"{size} bytes"
    units = ["TB", "GB", "MB", "kB"]
    value = size / 1000
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        units.pop()
    return f"{value:.1f} {units[-1]}"
