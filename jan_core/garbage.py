"""Python's search for what nobody needs any more, spared what a server loads once and keeps.

A full search stops everything while it looks at every object there is. Nearly all of them belong to modules, which
stay: with them it takes some 50 ms, in which no reply goes on, and without them a few. While they are loaded, searches
find nothing and take a tenth of the time.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SELDOM = 50_000
"""New objects after which is searched while modules are loaded; Python's own figure is 700 to 2,000."""

_usual: tuple[int, int, int] | None = None
"""How often is searched otherwise, while `seldom` goes on."""


@contextmanager
def seldom() -> Iterator[None]:
    """While the block runs, searches are rare, for what is loaded at the start; `sparing_modules` ends that."""
    global _usual
    if _usual is not None:  # a command within another
        yield
        return
    usual = _usual = gc.get_threshold()
    gc.set_threshold(SELDOM, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        _usual = None


@contextmanager
def sparing_modules() -> Iterator[None]:
    """While the block runs, searches pass over what is there when it begins, and over what modules bring later.

    They are as frequent as Python has them.

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
    if _usual is not None:
        gc.set_threshold(*_usual)
    gc.callbacks.append(searched)
    try:
        yield
    finally:
        gc.callbacks.remove(searched)
        gc.unfreeze()
