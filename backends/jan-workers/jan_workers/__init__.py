"""The backend `jan-workers`: loaded models, each in a worker process of its own, whatever engine runs it.

An engine is a backend that derives from `WorkerEngine` (the server's side) and a module that runs a `Child` (the
worker's side).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jan_workers.backend import Workers
    from jan_workers.engine import WorkerEngine

__all__ = ["WorkerEngine", "Workers"]

_HOME = {
    "WorkerEngine": "jan_workers.engine",
    "Workers": "jan_workers.backend",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: a worker process, which has no use for any, starts sooner."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
