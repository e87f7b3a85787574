"""The backend `jan-code`: the own code of assistants, `assistants/<id>/src/index.py`, in processes of its own.

`start`, `child` and `describing` run in such a process, with nothing but Python's standard library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jan_code.backend import Code

__all__ = ["Code"]

_HOME = {"Code": "jan_code.backend"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: a child process, which has no use for any, could not import it."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
