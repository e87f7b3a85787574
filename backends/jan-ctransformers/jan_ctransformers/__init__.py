"""The backend `jan-ctransformers`: GGML and early GGUF models, each in a worker process that runs ctransformers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jan_ctransformers.backend import CTransformers

__all__ = ["CTransformers"]

_HOME = {
    "CTransformers": "jan_ctransformers.backend",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: a worker process, which has no use for any, starts sooner."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
