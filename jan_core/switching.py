"""How long a thread waits for its turn while the event loop is busy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 0.0005
"""How long the loop goes on while another thread waits for its turn, as it does after each call of the system."""


@contextmanager
def quick_switching() -> Iterator[None]:
    """While the block runs, a thread that waits for Python gets it sooner than after Python's own 5 ms.

    A write of a file makes a dozen calls of the system, and waits after each. With fifty streams at once the loop
    hardly rests, and what takes a millisecond would take sixty.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
