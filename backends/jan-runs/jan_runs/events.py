"""The events of a run's stream, made of the objects that they carry.

They are made of objects that were checked when those were made, and a text's piece is one string: nothing here is
checked a second time.
"""

from __future__ import annotations

from collections.abc import Iterable

from jan_core.schemas.messages import Message
from jan_core.schemas.runs import (
    MessageDelta,
    MessageDeltaBody,
    Run,
    RunEvent,
    RunStep,
    RunStepDelta,
    RunStepDeltaBody,
    TextDelta,
    TextDeltaPart,
    ToolCallsDelta,
)
from jan_core.schemas.runs.events import FunctionCallDelta, FunctionDeltaBody, RefusalDeltaPart


def of_run(run: Run) -> RunEvent:
    """What became of a run: `thread.run.<status>`."""
    return RunEvent.model_construct(event=f"thread.run.{run.status}", data=run)


def created(run: Run) -> list[RunEvent]:
    """A run was made, and is queued."""
    return [RunEvent.model_construct(event="thread.run.created", data=run), of_run(run)]


def of_step(step: RunStep) -> RunEvent:
    """What became of a step: `thread.run.step.<status>`."""
    return RunEvent.model_construct(event=f"thread.run.step.{step.status}", data=step)


def step_begun(step: RunStep) -> list[RunEvent]:
    """A step was made, and is in progress."""
    return [RunEvent.model_construct(event="thread.run.step.created", data=step), of_step(step)]


def of_message(message: Message) -> RunEvent:
    """What became of a message: `thread.message.<status>`."""
    return RunEvent.model_construct(event=f"thread.message.{message.status}", data=message)


def message_begun(message: Message) -> list[RunEvent]:
    """A message was made, and is in progress."""
    return [RunEvent.model_construct(event="thread.message.created", data=message), of_message(message)]


def text_delta(message_id: str, index: int, text: str) -> RunEvent:
    """More of a text of a message."""
    part = TextDeltaPart.model_construct(index=index, text=TextDelta.model_construct(value=text))
    return _message_delta(message_id, [part])


def text_begun(message_id: str, index: int, text: str) -> RunEvent:
    """The beginning of a text of a message, which also says that it has no marks."""
    part = TextDeltaPart(index=index, text=TextDelta(value=text, annotations=[]))
    return _message_delta(message_id, [part])


def refusal_delta(message_id: str, index: int, text: str) -> RunEvent:
    """More of a refusal in a message."""
    return _message_delta(message_id, [RefusalDeltaPart.model_construct(index=index, refusal=text)])


def call_delta(step_id: str, index: int, call_id: str, name: str) -> RunEvent:
    """The beginning of a call of a step."""
    function = FunctionDeltaBody(name=name, arguments="")
    return _step_delta(step_id, [FunctionCallDelta(index=index, id=call_id, function=function)])


def arguments_delta(step_id: str, index: int, text: str) -> RunEvent:
    """More of the arguments of a call of a step."""
    function = FunctionDeltaBody.model_construct(arguments=text)
    return _step_delta(step_id, [FunctionCallDelta.model_construct(index=index, function=function)])


def output_delta(step_id: str, index: int, output: str) -> RunEvent:
    """What came out of a call of a step, whole."""
    function = FunctionDeltaBody.model_construct(output=output)
    return _step_delta(step_id, [FunctionCallDelta.model_construct(index=index, function=function)])


def piece_of(event: RunEvent) -> tuple[str, int, str]:
    """What a delta is more of, of which part or call, and what it is.

    Returns:
        `text`, `refusal`, `call`, `arguments` or `output`; the index; the text, which of a call is its id.
    """
    if isinstance(event.data, MessageDelta):
        (part,) = event.data.delta.content or ()  # type: ignore[misc]  # ours have one each
        if isinstance(part, RefusalDeltaPart):
            return "refusal", part.index, part.refusal or ""
        assert isinstance(part, TextDeltaPart)
        return "text", part.index, (part.text.value if part.text is not None else None) or ""
    assert isinstance(event.data, RunStepDelta)
    details = event.data.delta.step_details
    assert isinstance(details, ToolCallsDelta)
    (call,) = details.tool_calls or ()  # type: ignore[misc]
    assert isinstance(call, FunctionCallDelta)
    assert call.function is not None
    if call.function.output is not None:
        return "output", call.index, call.function.output
    if call.id is not None:
        return "call", call.index, call.id
    return "arguments", call.index, call.function.arguments or ""


def _message_delta(message_id: str, parts: Iterable[TextDeltaPart | RefusalDeltaPart]) -> RunEvent:
    delta = MessageDeltaBody.model_construct(content=[*parts])
    data = MessageDelta.model_construct(id=message_id, delta=delta)
    return RunEvent.model_construct(event="thread.message.delta", data=data)


def _step_delta(step_id: str, calls: list[FunctionCallDelta]) -> RunEvent:
    details = ToolCallsDelta.model_construct(tool_calls=calls)
    data = RunStepDelta.model_construct(id=step_id, delta=RunStepDeltaBody.model_construct(step_details=details))
    return RunEvent.model_construct(event="thread.run.step.delta", data=data)
