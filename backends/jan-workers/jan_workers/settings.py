"""The backend's table, `[jan-workers]`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WorkersSettings(BaseModel):
    """How loaded models share the machine."""

    model_config = ConfigDict(strict=True, extra="forbid", use_attribute_docstrings=True)

    queue: int = Field(default=64, ge=0, le=100_000)
    """Requests that may wait for one model; one more is answered 429."""
    idle_seconds: float = Field(default=600, ge=0, le=31_536_000)
    """A model that answered nothing for so long is unloaded; 0 keeps it."""
    load_seconds: float = Field(default=600, gt=0, le=86_400)
    """Longest time for a model to load."""
