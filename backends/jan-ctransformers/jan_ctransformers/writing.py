"""From the bytes of tokens to text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from jan_workers.stops import begun, found


class Writing:
    """The text of one answer as it grows.

    Args:
        stops: strings before which the answer ends; empty ones are passed over.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """True once a stop string has come."""

    def add(self, data: bytes) -> str:
        """Take a token's bytes; returns the text that can be shown now, maybe none."""
        self._held += self._decoder.decode(data)
        at = found(self._held, self._stops)
        if at is not None:
            self.stopped = True
            shown, self._held = self._held[:at], ""
            return shown
        end = len(self._held) - begun(self._held, self._stops)
        shown, self._held = self._held[:end], self._held[end:]
        return shown

    def rest(self) -> str:
        """What was held back, at the end of the answer; a character that is not whole is left out."""
        shown, self._held = self._held, ""
        return shown
