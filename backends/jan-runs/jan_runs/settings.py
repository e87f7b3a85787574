"""What every module for `runs` lets its user set; its own settings derive from this."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described

LONGEST = 31_536_000
"""Seconds of a year, the longest that a setting takes."""


class RunsSettings(Described):
    """How runs go on, wherever they are kept."""

    model_config = ConfigDict(strict=True, extra="forbid")

    expires_seconds: int = Field(default=600, ge=1, le=LONGEST)
    """Seconds after its creation that a run which has not ended is `expired`: it waited too long, or took too long."""
    most_at_once: int = Field(default=1_000, ge=1, le=100_000)
    """Runs that may go on, or wait for an engine, in one process; one more is refused with 429."""
