"""The table `[runs-postgresql]` of `jan.toml`."""

from __future__ import annotations

from jan_runs.settings import RunsSettings


class Settings(RunsSettings):
    """Settings of this module."""
