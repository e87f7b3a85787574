"""What the loop notes of a run, besides what clients see: `request` of the kept run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from jan_core.schemas.base import Reply
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import FunctionStepCall, KeptRun, RunStep, RunUsage, ToolCallsDetails


class _Noted(Reply):
    """What a newer version notes besides is passed over: the run goes on without it."""

    model_config = ConfigDict(extra="ignore")


class NotedCall(_Noted):
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


class Round(_Noted):
    """An answer of the model that ended in calls of tools. The next one is asked with it in the prompt."""

    text: str = ""
    """What it said besides the calls."""
    message: str | None = None
    """Id of the message that the thread has of it: it is not read a second time."""
    step: str | None = None
    """Id of the step that asked for the calls. Once that is done it has them and their outputs, and they are stored
    with it alone: outputs may be large."""
    calls: list[NotedCall] = Field(default_factory=list)
    """What it called."""

    def _fill(self, steps: Iterable[RunStep]) -> bool:
        """Take the calls from the step that has them; False where they are nowhere."""
        for step in steps:
            if not self.calls and step.id == self.step and isinstance(step.step_details, ToolCallsDetails):
                self.calls = [
                    NotedCall(
                        id=one.id,
                        name=one.function.name,
                        arguments=one.function.arguments,
                        output=one.function.output,
                    )
                    for one in step.step_details.tool_calls
                    if isinstance(one, FunctionStepCall)
                ]
        return bool(self.calls)


class Notes(_Noted):
    """What is noted of a run, so that any process can carry it on."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the chat request that the run has no field for (`stop`, `seed`, …), fixed at its creation."""
    key_name: str | None = None
    """The key of the caller who began it."""
    request_id: str | None = None
    """The request that began it."""
    depth: int = 0
    """How many own runs of assistants it was asked for from within, each inside the other."""
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
    calling: list[NotedCall] = Field(default_factory=list)
    """The calls that are being written, as far as they had come not long ago."""
    going_on: bool = False
    """True: the answer goes on behind the message that is being said, with calls."""
    own_run: bool = False
    """True: the assistant's own `run` may have begun; nobody knows what it has done, so that it is not begun again."""
    heard: bool = False
    """True: the answer cannot be begun anew: somebody listened when it began, or the thread has a message of it."""

    _damage: str = ""

    @property
    def damage(self) -> str:
        """What of them cannot be read, so that none of them is known; empty where all can."""
        return self._damage

    @classmethod
    def of(cls, kept: KeptRun) -> Notes:
        """The notes of a kept run. Those that cannot be read are none, and say so: `damage`."""
        try:
            notes = cls.model_validate(kept.request)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            return cls._damaged(first["loc"], first["msg"])
        for index, one in enumerate(notes.rounds):
            if not one._fill(kept.steps):
                return cls._damaged(("rounds", index), "No step has its calls")
        return notes

    @classmethod
    def _damaged(cls, place: Iterable[int | str], what: str) -> Notes:
        notes = cls()
        notes._damage = f"`{'.'.join(map(str, ('request', *place)))}`: {what}"
        return notes

    def to(self, kept: KeptRun) -> None:
        """Note it with a kept run."""
        # Only its own defaults are left out: a part inside is told by its `type`, which is one, too.
        said = {name for name in type(self).model_fields if getattr(self, name) != getattr(_nothing(), name)}
        kept.request = self.model_dump(mode="json", include=said)
        done = {step.id for step in kept.steps if step.status == "completed"}
        for one in kept.request.get("rounds", ()):
            if one["step"] in done:
                del one["calls"]


def note_so_far(kept: KeptRun, saying: Message | None, calling: Sequence[NotedCall]) -> None:
    """Note with a kept run what its answer has said, or called, so far. All other notes stay as they are."""
    if saying is not None:
        kept.request["saying"] = saying.model_dump(mode="json")
    if calling:
        kept.request["calling"] = [one.model_dump(mode="json") for one in calling]


@cache
def _nothing() -> Notes:
    """Notes with nothing in them. To ask each field for its default takes longer than to store what was noted."""
    return Notes()
