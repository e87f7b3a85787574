"""Answers that were stored: listing, changing and deleting them, and the messages they answered."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jan_core.schemas.base import Reply, Request, optional
from jan_core.schemas.chat.reply import ChatCompletion, ResponseMessage
from jan_core.schemas.common import Metadata


class ChatCompletionUpdate(Request):
    """What may be changed of a stored answer."""

    metadata: Metadata | None
    """The new pairs, all of them; null removes them."""


class ChatCompletionMessagesQuery(Request):
    """Which of the messages to list."""

    after: str | None = None
    """A message's id: the page begins behind it."""
    limit: int = Field(default=20, ge=1, le=100)
    """How many to return, 1 to 100."""
    order: Literal["asc", "desc"] = "asc"
    """By time: `asc` oldest first, `desc` newest first."""


class ChatCompletionsQuery(ChatCompletionMessagesQuery):
    """Which of the stored answers to list."""

    model: str | None = None
    """Only those of this model."""
    metadata: Metadata | None = None
    """Only those that have these pairs; in a URL `metadata[key]=value`."""


class ChatCompletionList(Reply):
    """A page of stored answers."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[ChatCompletion]
    """The answers, ordered by when they were begun."""
    first_id: str | None
    """The id of the first of them; null in an empty page."""
    last_id: str | None
    """The id of the last of them; null in an empty page."""
    has_more: bool
    """True: there are more after `last_id`."""


class ChatCompletionDeleted(Reply):
    """The answer to a deletion."""

    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    """Always `chat.completion.deleted`."""
    id: str
    """The id that was deleted."""
    deleted: bool
    """True: the stored answer is gone."""


class StoredBreakpoint(Reply):
    """Where caching of the prompt was allowed to end."""

    mode: Literal["explicit"] = "explicit"
    """Always `explicit`."""


class StoredText(Reply):
    """A part of a stored message that is text."""

    type: Literal["text"] = "text"
    """Always `text`."""
    text: str
    """The text."""
    prompt_cache_breakpoint: StoredBreakpoint | None = optional()
    """Where caching of the prompt was allowed to end."""


class StoredImageUrl(Reply):
    """Where an image is."""

    url: str
    """A web address, or the image itself as a `data:` URL in base64."""
    detail: Literal["auto", "low", "high"] | None = optional()
    """How finely the model looked at it."""


class StoredImage(Reply):
    """A part of a stored message that is an image."""

    type: Literal["image_url"] = "image_url"
    """Always `image_url`."""
    image_url: StoredImageUrl
    """The image."""
    prompt_cache_breakpoint: StoredBreakpoint | None = optional()
    """Where caching of the prompt was allowed to end."""


StoredPart = Annotated[StoredText | StoredImage, Field(discriminator="type")]
"""A part of a stored message, told apart by `type`."""


class StoredMessage(ResponseMessage):
    """A message of the request that a stored answer belongs to."""

    id: str
    """The message's id."""
    content_parts: list[StoredPart] | None = optional()
    """The content, where it came in parts; `content` is null then."""


class ChatCompletionMessageList(Reply):
    """A page of the messages of a stored answer."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[StoredMessage]
    """The messages."""
    first_id: str | None
    """The id of the first of them; null in an empty page."""
    last_id: str | None
    """The id of the last of them; null in an empty page."""
    has_more: bool
    """True: there are more after `last_id`."""
