"""The backend's table, `[jan-workers]`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described

LONGEST = 31_536_000
"""Seconds of a year, the longest that a setting takes."""


class WorkersSettings(Described):
    """How loaded models share the machine."""

    model_config = ConfigDict(strict=True, extra="forbid")

    queue: int = Field(default=64, ge=0, le=100_000)
    """Requests that may wait for one model; one more is answered 429."""
    keep_alive: float = Field(default=600, ge=-1, le=LONGEST)
    """Seconds that a model stays loaded after its last answer (`keep_alive` in model.json); 0 is none, -1 for ever."""
    memory_mib: int = Field(default=0, ge=0, le=1 << 30)
    """Memory for all loaded models together, in MiB; 0 is 80 % of the machine's, or of what its container allows."""
    wait_seconds: float = Field(default=60, ge=0, le=86_400)
    """How long a model that does not fit waits for others to become idle (503)."""
    pinned: list[str] = Field(default=[])
    """Models that are loaded when the server starts, and that nothing unloads to make room or for being idle."""
    load_seconds: float = Field(default=600, gt=0, le=86_400)
    """Longest time for a model to load."""
    hang_seconds: float = Field(default=60, ge=1, le=86_400)
    """A worker that gives no sign of life for so long, while it has requests to answer, is ended."""
