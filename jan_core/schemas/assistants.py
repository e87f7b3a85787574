"""The objects of `/v1/assistants`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from jan_core.schemas.base import Reply, Request, optional
from jan_core.schemas.common import Metadata, Omittable
from jan_core.schemas.pages import PageQuery as PageQuery
from jan_core.schemas.settings import SettingsLayer as SettingsLayer
from jan_core.schemas.stored import StoredPairs, UnixTime
from jan_core.schemas.tools import (
    AssistantResponseFormat,
    AssistantTool,
    NewToolResources,
    ReasoningEffort,
    ToolResources,
    Tools,
)

ModelId = Annotated[str, Field(min_length=1, max_length=512)]
"""The id of a model, as in the list of models."""

Name = Annotated[str, Field(max_length=256)]
"""Up to 256 characters."""
Description = Annotated[str, Field(max_length=512)]
"""Up to 512 characters."""
Instructions = Annotated[str, Field(max_length=256_000)]
"""Up to 256,000 characters."""
Avatar = Annotated[str, Field(max_length=2048)]
"""Up to 2,048 characters."""
Place = Annotated[str, Field(min_length=1, max_length=1024)]
"""A path inside the root."""
Temperature = Annotated[float, Field(ge=0, le=2)]
"""From 0 to 2."""
TopP = Annotated[float, Field(ge=0, le=1)]
"""From 0 to 1."""


class AssistantRequest(Request):
    """An assistant to make."""

    model: ModelId
    """The model that answers."""
    name: Name | None = None
    """What people call it."""
    description: Description | None = None
    """What it is for, in a sentence."""
    instructions: Instructions | None = None
    """What the model is told before every conversation."""
    reasoning_effort: ReasoningEffort | None = None
    """How long the model thinks before it answers."""
    tools: Omittable[Tools] = None
    """What it may use; nothing where it is left out."""
    tool_resources: NewToolResources | None = None
    """What the tools may use."""
    metadata: Metadata | None = None
    """Pairs that are kept with it."""
    temperature: Temperature | None = None
    """0 always takes the likeliest token; more makes answers more varied. Left out or null: the model's value holds."""
    top_p: TopP | None = None
    """Only the likeliest tokens that together reach this probability are considered."""
    response_format: AssistantResponseFormat | None = None
    """The form of the answers."""
    avatar: Avatar | None = None
    """A picture: an address, or a character. Jan's own."""
    thread_location: Place | None = None
    """Where its threads lie: `ROOT/threads`, another path from the root, or `threads` in its own folder. A name that
    the root needs is refused, and so is a place in or around another one. Jan's own."""


class AssistantUpdate(Request):
    """What is to change of an assistant. A field that is left out stays; null, where it may be, removes the value."""

    model: Omittable[ModelId] = None
    """The model that answers. An assistant of the API always has one, so it cannot be null."""
    name: Name | None = None
    """What people call it."""
    description: Description | None = None
    """What it is for, in a sentence."""
    instructions: Instructions | None = None
    """What the model is told before every conversation."""
    reasoning_effort: ReasoningEffort | None = None
    """How long the model thinks before it answers."""
    tools: Omittable[Tools] = None
    """What it may use, all of it."""
    tool_resources: ToolResources | None = None
    """What the tools may use, all of it."""
    metadata: Metadata | None = None
    """The new pairs, all of them; null removes them."""
    temperature: Temperature | None = None
    """0 always takes the likeliest token; more makes answers more varied."""
    top_p: TopP | None = None
    """Only the likeliest tokens that together reach this probability are considered."""
    response_format: AssistantResponseFormat | None = None
    """The form of the answers."""
    avatar: Avatar | None = None
    """A picture: an address, or a character. Jan's own."""
    thread_location: Place | None = None
    """Where threads made from now on lie; those that are there stay where they are, and are found. Jan's own."""


class Assistant(Reply):
    """Who answers: a model, its instructions, its tools."""

    id: str
    """The assistant's id."""
    object: Literal["assistant"] = "assistant"
    """Always `assistant`."""
    created_at: UnixTime
    """When it was made, in Unix seconds."""
    name: str | None = None
    """What people call it."""
    description: str | None = None
    """What it is for, in a sentence."""
    model: str
    """The model that answers; an empty string where no model is installed."""
    instructions: str | None = None
    """What the model is told before every conversation."""
    tools: list[AssistantTool] = Field(default_factory=list)
    """What it may use."""
    tool_resources: ToolResources | None = None
    """What the tools may use."""
    metadata: StoredPairs = Field(default_factory=dict)
    """Pairs that are kept with it."""
    temperature: Temperature | None = None
    """How varied the answers are; null where the model's value holds."""
    top_p: TopP | None = None
    """Only the likeliest tokens that together reach this probability are considered; null as for `temperature`."""
    response_format: AssistantResponseFormat | None = None
    """The form of the answers; null leaves it to the model."""
    reasoning_effort: ReasoningEffort | None = optional()
    """How long the model thinks before it answers."""
    avatar: str | None = optional()
    """A picture: an address, or a character. Jan's own."""
    thread_location: str | None = optional()
    """Where its threads lie, unless they lie in `ROOT/threads`. Jan's own."""

    @classmethod
    def of(cls, body: AssistantRequest, *, id: str, created_at: int) -> Assistant:
        """The assistant that a request asks for.

        Raises:
            NotSupported: it asks for a vector store to be made as well.
        """
        return cls(id=id, created_at=created_at, **_values(body, body.model_fields_set))

    def changed(self, body: AssistantUpdate) -> Assistant:
        """A copy with the fields that the body has."""
        return self.model_copy(update=_values(body, body.model_fields_set))


def _values(body: AssistantRequest | AssistantUpdate, names: set[str]) -> dict[str, Any]:
    """The given fields of a request, in the form in which they are stored."""
    values = {name: getattr(body, name) for name in names}
    if isinstance(values.get("tool_resources"), NewToolResources):
        values["tool_resources"] = values["tool_resources"].stored()
    if "metadata" in values:
        values["metadata"] = values["metadata"] or {}
    return values


class AssistantPage(Reply):
    """A page of assistants."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Assistant]
    """The assistants of this page."""
    first_id: str | None
    """Id of the first of them; null on an empty page."""
    last_id: str | None
    """Id of the last of them; null on an empty page. Give it as `after` for the next page."""
    has_more: bool
    """True where further assistants follow in this direction."""


class AssistantDeleted(Reply):
    """The answer to a deletion."""

    id: str
    """The id that was deleted."""
    object: Literal["assistant.deleted"] = "assistant.deleted"
    """Always `assistant.deleted`."""
    deleted: bool
    """True: the assistant is gone."""
