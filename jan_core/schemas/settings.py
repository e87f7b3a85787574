"""What sets how a model answers, one place at a time."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from jan_core.schemas.base import Reply


class SettingsLayer(Reply):
    """The settings that stand in one place. Never sent to a client."""

    origin: str
    """The place, as a person would look for it: `threads/jan-1700000000-0000aaaaaaaaaaaa/model.json`."""
    values: dict[str, Any] = Field(default_factory=dict)
    """What is set there: `model`, `instructions`, `tools`, `response_format`, `reasoning_effort`, `temperature`,
    `top_p`, and any other parameter, each as JSON has it. None stands for nothing set."""
