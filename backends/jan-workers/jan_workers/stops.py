"""Where stop strings are in a text, or may be about to come."""

from __future__ import annotations

from collections.abc import Iterable


def found(text: str, stops: Iterable[str]) -> int | None:
    """The place of the first character that belongs to a stop string; None where there is none."""
    return min((at for stop in stops if (at := text.find(stop)) >= 0), default=None)


def begun(text: str, stops: Iterable[str]) -> int:
    """How many characters at the end of the text may be the beginning of a stop string."""
    return max((_begun(text, stop) for stop in stops), default=0)


def _begun(text: str, stop: str) -> int:
    for length in range(min(len(stop) - 1, len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
