"""Python's search for what nobody needs any more, spared what a server loads once and keeps.

A full search stops everything while it looks at every object there is. Nearly all of them belong to modules, which
stay: with them it takes some 50 ms, in which no reply goes on, and without them a few.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def sparing_modules() -> Iterator[None]:
    """While the block runs, searches pass over what is there when it begins, and over what modules bring later.

    What is loaded later is looked at once: what a full search then finds in use is passed over from there on. That
    happens only where modules were loaded since the last time, so that little else is kept with them.
    """
    known = len(sys.modules)

    def searched(phase: str, told: dict[str, Any]) -> None:
        nonlocal known
        if phase == "stop" and told["generation"] == 2 and len(sys.modules) > known:
            known = len(sys.modules)
            gc.freeze()

    gc.freeze()
    gc.callbacks.append(searched)
    try:
        yield
    finally:
        gc.callbacks.remove(searched)
        gc.unfreeze()
