"""What the loop notes of a run, besides what clients see: `request` of the kept run."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from jan_core.schemas.base import Reply
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import KeptRun, RunUsage


class NotedCall(Reply):
    """A call that the model asked for in an earlier answer of this run."""

    id: str
    """The call's id."""
    name: str
    """The function."""
    arguments: str
    """Its arguments, as the model wrote them."""
    output: str | None = None
    """What came out; None as long as it was not given."""
    here: bool = False
    """True: a tool of the assistant's own, which is carried out here; nobody else is asked for the output."""
    started: bool = False
    """True: it may have been carried out; it was stored as begun before it was."""


class Round(Reply):
    """An answer of the model that ended in calls of tools. The next one is asked with it in the prompt."""

    text: str = ""
    """What it said besides the calls."""
    message: str | None = None
    """Id of the message that the thread has of it: it is not read a second time."""
    calls: list[NotedCall]
    """What it called."""


class Notes(Reply):
    """What is noted of a run, so that any process can carry it on."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the chat request that the run has no field for (`stop`, `seed`, …), fixed at its creation."""
    key_name: str | None = None
    """The key of the caller who began it."""
    request_id: str | None = None
    """The request that began it."""
    additional: list[Message] = Field(default_factory=list)
    """Messages that the thread gets before anything else, as long as it may not have all of them yet."""
    rounds: list[Round] = Field(default_factory=list)
    """The answers that ended in calls, oldest first."""
    used: RunUsage = Field(default_factory=RunUsage)
    """Tokens that the answers so far took."""
    asking: RunUsage | None = None
    """Of the answer whose calls are waited for: tokens that it took. They become the usage of its step."""
    saying: Message | None = None
    """The message that is being said, with its text as it was not long ago."""
    going_on: bool = False
    """True: the answer goes on behind the message that is being said, with calls."""
    heard: bool = False
    """True: somebody listened when the answer began, so that it cannot be begun anew."""

    @classmethod
    def of(cls, kept: KeptRun) -> Notes:
        """The notes of a kept run."""
        return cls.model_validate(kept.request)

    def to(self, kept: KeptRun) -> None:
        """Note it with a kept run."""
        # Only its own defaults are left out: a part inside is told by its `type`, which is one, too.
        fields = type(self).model_fields.items()
        said = {name for name, one in fields if getattr(self, name) != one.get_default(call_default_factory=True)}
        kept.request = self.model_dump(mode="json", include=said)
