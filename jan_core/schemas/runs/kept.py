"""What is kept of a run beyond what a client sees. Never sent to one."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from jan_core.schemas.base import Reply
from jan_core.schemas.messages import Message
from jan_core.schemas.runs.run import Run
from jan_core.schemas.runs.steps import RunStep


class Unfinished(Reply):
    """A run that has not ended."""

    run: Run
    """The run."""
    message: Message | None = None
    """The message that it is saying, `in_progress`, with the text so far."""


class KeptRun(Reply):
    """A run, and all that is kept of it."""

    run: Run
    """The run."""
    steps: list[RunStep] = Field(default_factory=list)
    """Its steps, in the order in which they began."""
    request: dict[str, Any] = Field(default_factory=dict)
    """What whoever carries it on needs to go on, as JSON. Nobody else reads it."""


class StoredRun(Run):
    """A run as one object with all that is kept of it: what stores write, and what is copied between them."""

    steps: list[RunStep] = Field(default_factory=list)
    """Its steps, in the order in which they began."""
    request: dict[str, Any] = Field(default_factory=dict)
    """As in `KeptRun`."""

    def kept(self) -> KeptRun:
        """The same in parts."""
        values = dict(self)
        return KeptRun.model_construct(
            steps=values.pop("steps"), request=values.pop("request"), run=Run.model_construct(**values)
        )
