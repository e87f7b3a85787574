"""The backend `jan-llamacpp`: loaded models, each in a worker process that runs llama.cpp through xllamacpp."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jan_llamacpp.backend import LlamaCpp

__all__ = ["LlamaCpp"]

_HOME = {
    "LlamaCpp": "jan_llamacpp.backend",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: a worker process, which has no use for any, starts sooner."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
