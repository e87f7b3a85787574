"""The objects of `/v1/threads/{thread_id}/messages`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.base import Reply, Request, optional
from jan_core.schemas.common import Many, Metadata, Omittable
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.stored import StoredPairs, UnixTime
from jan_core.schemas.tools import AttachmentTool

MessageText = Annotated[str, Field(max_length=256_000)]
"""Up to 256,000 characters."""
Detail = Literal["auto", "low", "high"]
"""How closely a model looks at an image."""
Role = Literal["user", "assistant"]
"""Who says a message."""


class ImageFile(Request):
    """An image that was uploaded."""

    file_id: str
    """The file's id."""
    detail: Omittable[Detail] = optional()
    """How closely the model looks at it; `auto` where it is left out."""


class ImageFilePart(Request):
    """A part of a message: an image that was uploaded."""

    type: Literal["image_file"]
    """Always `image_file`."""
    image_file: ImageFile
    """The image."""


class ImageAddress(Request):
    """An image elsewhere."""

    url: str
    """Its address, or the image itself as a `data:` address."""
    detail: Omittable[Detail] = optional()
    """How closely the model looks at it; `auto` where it is left out."""


class ImageAddressPart(Request):
    """A part of a message: an image elsewhere."""

    type: Literal["image_url"]
    """Always `image_url`."""
    image_url: ImageAddress
    """The image."""


class TextRequestPart(Request):
    """A part of a message to store: text."""

    type: Literal["text"]
    """Always `text`."""
    text: MessageText
    """The text."""


RequestPart = Annotated[ImageFilePart | ImageAddressPart | TextRequestPart, Field(discriminator="type")]
"""A part of a message to store, told apart by `type`."""


class Attachment(Request):
    """A file that belongs to a message, and the tools it is for."""

    file_id: Omittable[str] = optional()
    """The file's id."""
    tools: Omittable[Many[AttachmentTool]] = optional()
    """The tools that may read it."""


class MessageRequest(Request):
    """A message to store."""

    role: Role
    """Who says it: `user`, or `assistant` for what an assistant is to have said."""
    attachments: Many[Attachment] | None = None
    """Files that belong to it."""
    content: MessageText | Annotated[Many[RequestPart], Field(min_length=1)]
    """A text, or parts: texts and images. A text may be empty only with `attachments`."""
    metadata: Metadata | None = None
    """Pairs that are kept with it."""

    @field_validator("content")
    @classmethod
    def _check(cls, value: Any, info: ValidationInfo) -> Any:
        texts = [value] if isinstance(value, str) else [one.text for one in value if isinstance(one, TextRequestPart)]
        if "" in texts and not info.data.get("attachments"):
            raise PydanticCustomError("empty_message", "some text, or attachments beside it")
        return value


class MessageUpdate(Request):
    """What is to change of a message. A field that is left out stays."""

    metadata: Metadata | None = None
    """The new pairs, all of them; null removes them."""


class CitedFile(Reply):
    """A file that a text refers to."""

    file_id: str
    """The file's id."""


class FileCitation(Reply):
    """Marks where a text cites a file."""

    type: Literal["file_citation"] = "file_citation"
    """Always `file_citation`."""
    text: str
    """The characters of the text that are the mark."""
    file_citation: CitedFile
    """The file."""
    start_index: Annotated[int, Field(ge=0)]
    """Where the mark begins in the text."""
    end_index: Annotated[int, Field(ge=0)]
    """Where it ends."""


class MadeFile(Reply):
    """A file that a tool made."""

    file_id: str
    """The file's id."""


class FilePath(Reply):
    """Marks where a text names a file that a tool made."""

    type: Literal["file_path"] = "file_path"
    """Always `file_path`."""
    text: str
    """The characters of the text that are the mark."""
    file_path: MadeFile
    """The file."""
    start_index: Annotated[int, Field(ge=0)]
    """Where the mark begins in the text."""
    end_index: Annotated[int, Field(ge=0)]
    """Where it ends."""


class AnnotatedText(Reply):
    """A text and the marks in it."""

    value: str
    """The text."""
    annotations: list[Annotated[FileCitation | FilePath, Field(discriminator="type")]] = Field(default_factory=list)
    """The marks: files that it cites or names."""


class TextPart(Reply):
    """A part of a message: text."""

    type: Literal["text"] = "text"
    """Always `text`."""
    text: AnnotatedText
    """The text."""


class RefusalPart(Reply):
    """A part of a message: why the assistant does not answer."""

    type: Literal["refusal"] = "refusal"
    """Always `refusal`."""
    refusal: str
    """What it says instead."""


MessagePart = Annotated[TextPart | ImageFilePart | ImageAddressPart | RefusalPart, Field(discriminator="type")]
"""A part of a stored message, told apart by `type`."""


class IncompleteDetails(Reply):
    """Why a message broke off."""

    reason: Literal["content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"]
    """The reason."""


class Message(Reply):
    """What was said in a thread."""

    id: str
    """The message's id."""
    object: Literal["thread.message"] = "thread.message"
    """Always `thread.message`."""
    created_at: UnixTime
    """When it was made, in Unix seconds."""
    thread_id: str
    """The thread it belongs to."""
    status: Literal["in_progress", "incomplete", "completed"] = "completed"
    """Whether all of it is there."""
    incomplete_details: IncompleteDetails | None = None
    """Why it broke off, where it did."""
    completed_at: UnixTime | None = None
    """When it was finished, in Unix seconds."""
    incomplete_at: UnixTime | None = None
    """When it broke off, in Unix seconds."""
    role: Role
    """Who said it."""
    content: list[SerializeAsAny[MessagePart]]
    """Texts and images, in order."""
    assistant_id: str | None = None
    """The assistant that said it."""
    run_id: str | None = None
    """The run that it was made in, or for."""
    attachments: list[Attachment] | None = None
    """Files that belong to it."""
    metadata: StoredPairs = Field(default_factory=dict)
    """Pairs that are kept with it."""

    @classmethod
    def of(cls, body: MessageRequest, *, id: str, thread_id: str, created_at: int) -> Message:
        """The message that a request asks for. It is complete from the start."""
        parts = [TextRequestPart(type="text", text=body.content)] if isinstance(body.content, str) else body.content
        return cls(
            id=id,
            created_at=created_at,
            thread_id=thread_id,
            completed_at=created_at,
            role=body.role,
            content=[
                TextPart(text=AnnotatedText(value=part.text)) if isinstance(part, TextRequestPart) else part
                for part in parts
            ],
            attachments=body.attachments or [],
            metadata=body.metadata or {},
        )

    def changed(self, body: MessageUpdate) -> Message:
        """A copy with the fields that the body has."""
        if "metadata" not in body.model_fields_set:
            return self
        return self.model_copy(update={"metadata": body.metadata or {}})


class MessagesQuery(PageQuery):
    """Which messages to list."""

    run_id: str | None = None
    """Only those that this run made."""


class MessagePage(Reply):
    """A page of messages."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Message]
    """The messages of this page."""
    first_id: str | None
    """Id of the first of them; null on an empty page."""
    last_id: str | None
    """Id of the last of them; null on an empty page. Give it as `after` for the next page."""
    has_more: bool
    """True where further messages follow in this direction."""


class MessageDeleted(Reply):
    """The answer to a deletion."""

    id: str
    """The id that was deleted."""
    object: Literal["thread.message.deleted"] = "thread.message.deleted"
    """Always `thread.message.deleted`."""
    deleted: bool
    """True: the message is gone."""
