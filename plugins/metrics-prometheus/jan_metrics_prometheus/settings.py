"""The table `[metrics-prometheus]` of `jan.toml`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class Settings(Described):
    """Settings of this plugin."""

    model_config = ConfigDict(strict=True, extra="forbid")

    path: str = Field(default="/metrics", pattern=r"^(/[A-Za-z0-9._~-]+)+$")
    """Where the metrics are read."""
    models: int = Field(default=100, ge=1, le=10_000)
    """So many models have values of their own; those of all further ones are counted together, as `other`."""
    process: bool = True
    """Whether memory, CPU time and open files of the server process are told as well (Linux)."""
