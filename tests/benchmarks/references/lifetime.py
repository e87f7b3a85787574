"""How a reference server lives: as long as whoever started it keeps its stdin open."""

from __future__ import annotations

import os
import signal
import sys
import threading


def follow_stdin() -> None:
    """End this process when its stdin ends, from a thread that sleeps until then. Ctrl-C is left to the starter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    sys.stdin.buffer.read()
    os._exit(0)
