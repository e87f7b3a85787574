"""The objects of `/v1/threads`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.assistants import ModelId, Temperature, TopP
from jan_core.schemas.base import Reply, Request, optional
from jan_core.schemas.common import Many, Metadata, Omittable, Penalty, Seed, Text, TokenCount, finite
from jan_core.schemas.messages import MessageRequest
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.settings import SettingsLayer as SettingsLayer
from jan_core.schemas.stored import StoredPairs, UnixTime
from jan_core.schemas.tools import NewToolResources, ToolResources

Title = Annotated[str, Field(max_length=512)]
"""Up to 512 characters."""


class ThreadParameters(Request):
    """Values that requests to a model take where they give none. Other names are kept, for engines that know them."""

    model_config = ConfigDict(extra="allow")

    ELSEWHERE: ClassVar[frozenset[str]] = frozenset({"model", "messages", "instructions", "tools", "stream"})
    """Names that are no parameters."""

    temperature: Temperature | None = None
    """0 always takes the likeliest token; more makes answers more varied."""
    top_p: TopP | None = None
    """Only the likeliest tokens that together reach this probability are considered."""
    max_tokens: TokenCount | None = None
    """The most tokens an answer may have."""
    max_completion_tokens: TokenCount | None = None
    """The newer name of `max_tokens`."""
    stop: Text | Annotated[Many[Text], Field(min_length=1, max_length=4)] | None = None
    """The answer ends before the first of these strings."""
    frequency_penalty: Penalty | None = None
    """Makes tokens less likely the more often they occurred."""
    presence_penalty: Penalty | None = None
    """Makes tokens less likely once they occurred."""
    seed: Seed | None = None
    """The same seed with the same request gives the same answer, as far as the engine can promise that."""

    @model_validator(mode="before")
    @classmethod
    def _check(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name in cls.ELSEWHERE & value.keys():
                raise PydanticCustomError("no_parameter", "parameters without {name}", {"name": name})
            finite(value)
        return value


class ThreadAssistant(Request):
    """An assistant that takes part in a thread."""

    assistant_id: Annotated[str, Field(min_length=1, max_length=128)]
    """The assistant's id."""
    model: Omittable[ModelId] = optional()
    """The model that answers for it in this thread, where it is not the assistant's own."""


ThreadAssistants = Annotated[Many[ThreadAssistant], Field(max_length=128)]
"""Up to 128 assistants, the first one first."""


class ThreadRequest(Request):
    """A thread to make."""

    messages: Omittable[Many[MessageRequest]] = None
    """Its first messages, oldest first."""
    tool_resources: NewToolResources | None = None
    """What the tools may use in it."""
    metadata: Metadata | None = None
    """Pairs that are kept with it."""
    title: Title | None = None
    """What it is about. Jan's own."""
    assistants: ThreadAssistants | None = None
    """Who takes part. Jan's own."""
    model: ModelId | None = None
    """The model that answers in it, whatever the assistant says. Jan's own."""
    parameters: ThreadParameters | None = None
    """Values that runs in it take before those of the assistant and the model. Jan's own."""


class ThreadUpdate(Request):
    """What is to change of a thread. A field that is left out stays; null removes the value."""

    tool_resources: ToolResources | None = None
    """What the tools may use in it, all of it."""
    metadata: Metadata | None = None
    """The new pairs, all of them; null removes them."""
    title: Title | None = None
    """What it is about. Jan's own."""
    assistants: ThreadAssistants | None = None
    """Who takes part, all of them. Jan's own."""
    model: ModelId | None = None
    """The model that answers in it, whatever the assistant says. Jan's own."""
    parameters: ThreadParameters | None = None
    """Values that runs in it take before those of the assistant and the model, all of them. Jan's own."""


class Thread(Reply):
    """A conversation, without its messages."""

    id: str
    """The thread's id."""
    object: Literal["thread"] = "thread"
    """Always `thread`."""
    created_at: UnixTime
    """When it was made, in Unix seconds."""
    tool_resources: ToolResources | None = None
    """What the tools may use in it."""
    metadata: StoredPairs = Field(default_factory=dict)
    """Pairs that are kept with it."""
    title: str | None = optional()
    """What it is about. Jan's own."""
    assistants: list[ThreadAssistant] | None = optional()
    """Who takes part, the first one first. Jan's own."""
    model: str | None = optional()
    """The model that answers in it, whatever the assistant says. Jan's own."""
    parameters: dict[str, Any] | None = optional()
    """Values that runs in it take before those of the assistant and the model. Jan's own."""

    @classmethod
    def of(cls, body: ThreadRequest, *, id: str, created_at: int) -> Thread:
        """The thread that a request asks for, without its messages.

        Raises:
            NotSupported: it asks for a vector store to be made as well.
        """
        return cls(id=id, created_at=created_at, **_values(body, body.model_fields_set - {"messages"}))

    def changed(self, body: ThreadUpdate) -> Thread:
        """A copy with the fields that the body has."""
        return self.model_copy(update=_values(body, body.model_fields_set))


def _values(body: ThreadRequest | ThreadUpdate, names: set[str]) -> dict[str, Any]:
    """The given fields of a request, in the form in which they are stored."""
    values = {name: getattr(body, name) for name in names}
    if isinstance(values.get("tool_resources"), NewToolResources):
        values["tool_resources"] = values["tool_resources"].stored()
    if "metadata" in values:
        values["metadata"] = values["metadata"] or {}
    if isinstance(values.get("parameters"), ThreadParameters):
        values["parameters"] = values["parameters"].model_dump(mode="json", exclude_unset=True)
    return values


class ThreadsQuery(PageQuery):
    """Which threads to list."""

    assistant_id: str | None = None
    """Only those that this assistant takes part in."""
    metadata: Metadata | None = None
    """Only those that have these pairs; in a URL `metadata[key]=value`."""

    @field_validator("metadata", mode="after")
    @classmethod
    def _no_empty(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        return value or None


class ThreadPage(Reply):
    """A page of threads."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Thread]
    """The threads of this page."""
    first_id: str | None
    """Id of the first of them; null on an empty page."""
    last_id: str | None
    """Id of the last of them; null on an empty page. Give it as `after` for the next page."""
    has_more: bool
    """True where further threads follow in this direction."""


class ThreadDeleted(Reply):
    """The answer to a deletion."""

    id: str
    """The id that was deleted."""
    object: Literal["thread.deleted"] = "thread.deleted"
    """Always `thread.deleted`."""
    deleted: bool
    """True: the thread is gone."""
