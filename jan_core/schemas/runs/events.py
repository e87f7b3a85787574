"""The events of a run's stream, and the deltas that some of them carry."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jan_core.schemas.base import NamedEvent, Reply, optional
from jan_core.schemas.messages import Detail, Message, Role
from jan_core.schemas.runs.run import Run
from jan_core.schemas.runs.steps import RunStep
from jan_core.schemas.threads import Thread

Index = Annotated[int, Field(ge=0)]
"""The place in a list, from 0."""


class CitedFileDelta(Reply):
    """A file that a text refers to."""

    file_id: str | None = optional()
    """The file's id."""
    quote: str | None = optional()
    """What is cited."""


class FileCitationDelta(Reply):
    """Marks where a text cites a file."""

    index: Index
    """Which mark of the text it is."""
    type: Literal["file_citation"] = "file_citation"
    """Always `file_citation`."""
    text: str | None = optional()
    """The characters of the text that are the mark."""
    file_citation: CitedFileDelta | None = optional()
    """The file."""
    start_index: Index | None = optional()
    """Where the mark begins in the text."""
    end_index: Index | None = optional()
    """Where it ends."""


class MadeFileDelta(Reply):
    """A file that a tool made."""

    file_id: str | None = optional()
    """The file's id."""


class FilePathDelta(Reply):
    """Marks where a text names a file that a tool made."""

    index: Index
    """Which mark of the text it is."""
    type: Literal["file_path"] = "file_path"
    """Always `file_path`."""
    text: str | None = optional()
    """The characters of the text that are the mark."""
    file_path: MadeFileDelta | None = optional()
    """The file."""
    start_index: Index | None = optional()
    """Where the mark begins in the text."""
    end_index: Index | None = optional()
    """Where it ends."""


class TextDelta(Reply):
    """What is added to a text."""

    value: str | None = optional()
    """The characters that follow."""
    annotations: list[Annotated[FileCitationDelta | FilePathDelta, Field(discriminator="type")]] | None = optional()
    """Further marks."""


class TextDeltaPart(Reply):
    """What is added to a part of a message: text."""

    index: Index
    """Which part it is."""
    type: Literal["text"] = "text"
    """Always `text`."""
    text: TextDelta | None = optional()
    """What is added."""


class RefusalDeltaPart(Reply):
    """What is added to a part of a message: why the assistant does not answer."""

    index: Index
    """Which part it is."""
    type: Literal["refusal"] = "refusal"
    """Always `refusal`."""
    refusal: str | None = optional()
    """The characters that follow."""


class ImageFileDelta(Reply):
    """An image that was uploaded."""

    file_id: str | None = optional()
    """The file's id."""
    detail: Detail | None = optional()
    """How closely a model looks at it."""


class ImageFileDeltaPart(Reply):
    """A further part of a message: an image that was uploaded."""

    index: Index
    """Which part it is."""
    type: Literal["image_file"] = "image_file"
    """Always `image_file`."""
    image_file: ImageFileDelta | None = optional()
    """The image."""


class ImageAddressDelta(Reply):
    """An image elsewhere."""

    url: str | None = optional()
    """Its address."""
    detail: Detail | None = optional()
    """How closely a model looks at it."""


class ImageAddressDeltaPart(Reply):
    """A further part of a message: an image elsewhere."""

    index: Index
    """Which part it is."""
    type: Literal["image_url"] = "image_url"
    """Always `image_url`."""
    image_url: ImageAddressDelta | None = optional()
    """The image."""


DeltaPart = Annotated[
    ImageFileDeltaPart | TextDeltaPart | RefusalDeltaPart | ImageAddressDeltaPart, Field(discriminator="type")
]
"""What is added to a part of a message, told apart by `type`."""


class MessageDeltaBody(Reply):
    """What is added to a message."""

    role: Role | None = optional()
    """Who says it."""
    content: list[DeltaPart] | None = optional()
    """What is added to its parts."""


class MessageDelta(Reply):
    """What is added to a message while it is being said."""

    id: str
    """The message's id."""
    object: Literal["thread.message.delta"] = "thread.message.delta"
    """Always `thread.message.delta`."""
    delta: MessageDeltaBody
    """What is added."""

    @classmethod
    def of(cls, message_id: str, text: str, *, first: bool = False) -> MessageDelta:
        """Text that is added to the first part of a message.

        Args:
            message_id: the message's id.
            text: the characters that follow.
            first: True for the first delta of the message, which also says that the text has no marks.
        """
        part = TextDeltaPart(index=0, text=TextDelta(value=text, annotations=[] if first else None))
        return cls(id=message_id, delta=MessageDeltaBody(content=[part]))


class MessageCreationIdDelta(Reply):
    """The message that a step makes."""

    message_id: str | None = optional()
    """The message's id."""


class MessageCreationDelta(Reply):
    """The step says something."""

    type: Literal["message_creation"] = "message_creation"
    """Always `message_creation`."""
    message_creation: MessageCreationIdDelta | None = optional()
    """What it says."""


class FunctionDeltaBody(Reply):
    """What is added to a call of a function."""

    name: str | None = optional()
    """The function, once."""
    arguments: str | None = optional()
    """The characters of its arguments that follow."""
    output: str | None = optional()
    """What came out."""


class FunctionCallDelta(Reply):
    """What is added to a tool call: a function."""

    index: Index
    """Which call it is."""
    id: str | None = optional()
    """The call's id, once."""
    type: Literal["function"] = "function"
    """Always `function`."""
    function: FunctionDeltaBody | None = optional()
    """What is added."""


class CodeLogsDelta(Reply):
    """What code printed."""

    index: Index
    """Which output it is."""
    type: Literal["logs"] = "logs"
    """Always `logs`."""
    logs: str | None = optional()
    """The characters that follow."""


class CodeImageFileDelta(Reply):
    """An image that code made."""

    file_id: str | None = optional()
    """The file's id."""


class CodeImageDelta(Reply):
    """An image that code made."""

    index: Index
    """Which output it is."""
    type: Literal["image"] = "image"
    """Always `image`."""
    image: CodeImageFileDelta | None = optional()
    """The image."""


class CodeDeltaBody(Reply):
    """What is added to code that is run."""

    input: str | None = optional()
    """The characters of the code that follow."""
    outputs: list[Annotated[CodeLogsDelta | CodeImageDelta, Field(discriminator="type")]] | None = optional()
    """What it printed and made."""


class CodeCallDelta(Reply):
    """What is added to a tool call: code."""

    index: Index
    """Which call it is."""
    id: str | None = optional()
    """The call's id, once."""
    type: Literal["code_interpreter"] = "code_interpreter"
    """Always `code_interpreter`."""
    code_interpreter: CodeDeltaBody | None = optional()
    """What is added."""


class FileSearchCallDelta(Reply):
    """What is added to a tool call: a search in files."""

    index: Index
    """Which call it is."""
    id: str | None = optional()
    """The call's id, once."""
    type: Literal["file_search"] = "file_search"
    """Always `file_search`."""
    file_search: dict[str, str]
    """Empty; what was found stands in the step."""


CallDelta = Annotated[CodeCallDelta | FileSearchCallDelta | FunctionCallDelta, Field(discriminator="type")]
"""What is added to a tool call, told apart by `type`."""


class ToolCallsDelta(Reply):
    """The step calls tools."""

    type: Literal["tool_calls"] = "tool_calls"
    """Always `tool_calls`."""
    tool_calls: list[CallDelta] | None = optional()
    """What is added to its calls."""


class RunStepDeltaBody(Reply):
    """What is added to a step."""

    step_details: Annotated[MessageCreationDelta | ToolCallsDelta, Field(discriminator="type")] | None = optional()
    """What is added to what it says, or calls."""


class RunStepDelta(Reply):
    """What is added to a step while it goes on."""

    id: str
    """The step's id."""
    object: Literal["thread.run.step.delta"] = "thread.run.step.delta"
    """Always `thread.run.step.delta`."""
    delta: RunStepDeltaBody
    """What is added."""

    @classmethod
    def of(
        cls, step_id: str, index: int, *, id: str | None = None, name: str | None = None, arguments: str = ""
    ) -> RunStepDelta:
        """What is added to the call of a function.

        Args:
            step_id: the step's id.
            index: which of its calls it is, from 0.
            id: the call's id, with the first delta of the call.
            name: the function's name, with the first delta of the call.
            arguments: the characters that follow.
        """
        call = FunctionCallDelta(index=index, id=id, function=FunctionDeltaBody(name=name, arguments=arguments))
        return cls(id=step_id, delta=RunStepDeltaBody(step_details=ToolCallsDelta(tool_calls=[call])))


EventName = Literal[
    "thread.created",
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.requires_action",
    "thread.run.completed",
    "thread.run.incomplete",
    "thread.run.failed",
    "thread.run.cancelling",
    "thread.run.cancelled",
    "thread.run.expired",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.run.step.delta",
    "thread.run.step.completed",
    "thread.run.step.failed",
    "thread.run.step.cancelled",
    "thread.run.step.expired",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.message.incomplete",
]
"""What can happen: the kind of object, and what became of it."""


class RunEvent(NamedEvent):
    """Something that happened in a run: `thread.run.created`, `thread.message.delta`, ….

    A stream ends with `done`, or with `error` where it broke off; both are added as it is sent.
    """

    event: EventName
    """What happened, and to which kind of object."""
    data: Annotated[Thread | Run | RunStep | RunStepDelta | Message | MessageDelta, Field(discriminator="object")]
    """The object, as it is after the event; of a delta, what is added."""
