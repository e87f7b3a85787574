"""The backend `jan-postgresql`: connections to one PostgreSQL, the migrations of the modules that keep their data in
it, and a server inside the root where the config names none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jan_postgresql.backend import Postgresql

__all__ = ["Postgresql"]


def __getattr__(name: str) -> Any:
    """Import the backend when it is asked for: `jan` lists its commands without a database driver."""
    if name == "Postgresql":
        return import_module("jan_postgresql.backend").Postgresql
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
