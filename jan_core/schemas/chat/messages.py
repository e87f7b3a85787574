"""The messages of a chat request: one class a role, and the parts their content may have."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.base import Request
from jan_core.schemas.common import MOST, Many, Omittable, Text


class CacheBreakpoint(Request):
    """Asks that the prompt be cached up to and including the part that carries this."""

    mode: Literal["explicit"]
    """Always `explicit`."""


class TextPart(Request):
    """A part of a message that is text."""

    type: Literal["text"]
    """Always `text`."""
    text: str
    """The text."""
    prompt_cache_breakpoint: Omittable[CacheBreakpoint] = None
    """Where caching of the prompt may end."""


class ImageUrl(Request):
    """Where an image is."""

    url: Text
    """A web address, or the image itself as a `data:` URL in base64."""
    detail: Omittable[Literal["auto", "low", "high"]] = None
    """How finely the model looks at the image; `auto` where it is left out."""


class ImagePart(Request):
    """A part of a message that is an image."""

    type: Literal["image_url"]
    """Always `image_url`."""
    image_url: ImageUrl
    """The image."""
    prompt_cache_breakpoint: Omittable[CacheBreakpoint] = None
    """Where caching of the prompt may end."""


class InputAudio(Request):
    """A recording."""

    data: str
    """The recording's bytes in base64."""
    format: Literal["wav", "mp3"]
    """How the bytes are encoded."""


class AudioPart(Request):
    """A part of a message that is sound."""

    type: Literal["input_audio"]
    """Always `input_audio`."""
    input_audio: InputAudio
    """The recording."""
    prompt_cache_breakpoint: Omittable[CacheBreakpoint] = None
    """Where caching of the prompt may end."""


class InputFile(Request):
    """A file: its content, or the id of one that was uploaded before."""

    filename: Omittable[str] = None
    """The name to show to the model."""
    file_data: Omittable[str] = None
    """The content in base64."""
    file_id: Omittable[str] = None
    """The id of an uploaded file."""


class FilePart(Request):
    """A part of a message that is a file."""

    type: Literal["file"]
    """Always `file`."""
    file: InputFile
    """The file."""
    prompt_cache_breakpoint: Omittable[CacheBreakpoint] = None
    """Where caching of the prompt may end."""


class RefusalPart(Request):
    """A part of an earlier answer in which the model declined."""

    type: Literal["refusal"]
    """Always `refusal`."""
    refusal: str
    """What the model said."""


TextParts = Annotated[Many[TextPart], Field(min_length=1, max_length=MOST)]
"""Content that consists of text parts only."""

UserPart = Annotated[TextPart | ImagePart | AudioPart | FilePart, Field(discriminator="type")]
"""A part of what the user sends, told apart by `type`."""

AssistantPart = Annotated[TextPart | RefusalPart, Field(discriminator="type")]
"""A part of an earlier answer, told apart by `type`."""


class DeveloperMessage(Request):
    """Instructions of the application, for models that know this role; others take them as `system`."""

    role: Literal["developer"]
    """Always `developer`."""
    content: str | TextParts
    """The instructions."""
    name: Omittable[str] = None
    """Tells apart several participants of one role."""


class SystemMessage(Request):
    """Instructions of the application."""

    role: Literal["system"]
    """Always `system`."""
    content: str | TextParts
    """The instructions."""
    name: Omittable[str] = None
    """Tells apart several participants of one role."""


class UserMessage(Request):
    """What the person says."""

    role: Literal["user"]
    """Always `user`."""
    content: str | Annotated[Many[UserPart], Field(min_length=1, max_length=MOST)]
    """The text, or parts of several kinds."""
    name: Omittable[str] = None
    """Tells apart several participants of one role."""


class CalledFunction(Request):
    """The function that an earlier answer called."""

    name: str
    """Which function."""
    arguments: str
    """The arguments as JSON text, as the model wrote it: it may be invalid."""


class FunctionCall(Request):
    """A call of a function, in an earlier answer."""

    id: str
    """The call's id; the `tool` message with its result repeats it."""
    type: Literal["function"]
    """Always `function`."""
    function: CalledFunction
    """What was called, with what."""


class CalledCustomTool(Request):
    """The custom tool that an earlier answer called."""

    name: str
    """Which tool."""
    input: str
    """The text the model gave it."""


class CustomCall(Request):
    """A call of a custom tool, in an earlier answer."""

    id: str
    """The call's id; the `tool` message with its result repeats it."""
    type: Literal["custom"]
    """Always `custom`."""
    custom: CalledCustomTool
    """What was called, with what."""


class PastAudio(Request):
    """An earlier spoken answer."""

    id: str
    """The id that the answer's `audio` had."""


class AssistantMessage(Request):
    """An earlier answer of the model."""

    role: Literal["assistant"]
    """Always `assistant`."""
    refusal: str | None = None
    """What the model said where it declined."""
    name: Omittable[str] = None
    """Tells apart several participants of one role."""
    audio: PastAudio | None = None
    """The spoken answer."""
    tool_calls: Omittable[Many[Annotated[FunctionCall | CustomCall, Field(discriminator="type")]]] = None
    """The calls the model asked for."""
    function_call: CalledFunction | None = None
    """The one call of the older form."""
    reasoning_content: str | None = None
    """Extension known from llama.cpp: what the model thought; templates that keep thoughts show it to the model."""
    annotations: list[Any] | None = Field(default=None, exclude=True)
    """Accepted and not read: replies have it, and clients send a reply back as it came."""
    # Checked after the fields above, one of which must be there if this one is null.
    content: str | Annotated[Many[AssistantPart], Field(min_length=1, max_length=MOST)] | None = Field(
        default=None, validate_default=True
    )
    """The text. Null or left out only where the message has calls, a refusal or audio instead."""

    @field_validator("content")
    @classmethod
    def _has_something(cls, content: object, info: ValidationInfo) -> object:
        if content is None:
            # A field that was itself refused is not in `data`, and is reported by itself.
            others = (info.data.get(name, "") for name in ("refusal", "audio", "tool_calls", "function_call"))
            if all(other is None for other in others):
                raise PydanticCustomError(
                    "invalid_type", "a string or an array, since there is no `tool_calls`, `refusal` or `audio` either"
                )
        return content


class ToolMessage(Request):
    """The result of a tool call."""

    role: Literal["tool"]
    """Always `tool`."""
    content: str | TextParts
    """The result."""
    tool_call_id: str
    """The id of the call that this answers."""


class FunctionMessage(Request):
    """The result of a call of the older form."""

    role: Literal["function"]
    """Always `function`."""
    content: str | None
    """The result."""
    name: str
    """The function that was called."""


RequestMessage = Annotated[
    DeveloperMessage | SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]
"""A message of a request, told apart by `role`."""
