"""The events of a run's stream, made of the objects that they carry.

They are made of objects that were checked when those were made, and are not checked a second time.
"""

from __future__ import annotations

from typing import Any

from jan_core.schemas.messages import Message
from jan_core.schemas.runs import (
    MessageDelta,
    Run,
    RunEvent,
    RunStep,
    RunStepDelta,
    TextDeltaPart,
    ToolCallsDelta,
)
from jan_core.schemas.runs.events import FunctionCallDelta, RefusalDeltaPart


def of_run(run: Run) -> RunEvent:
    """What became of a run: `thread.run.<status>`."""
    return RunEvent.telling(f"thread.run.{run.status}", run)


def created(run: Run) -> list[RunEvent]:
    """A run was made, and is queued."""
    return [RunEvent.telling("thread.run.created", run), of_run(run)]


def of_step(step: RunStep) -> RunEvent:
    """What became of a step: `thread.run.step.<status>`."""
    return RunEvent.telling(f"thread.run.step.{step.status}", step)


def step_begun(step: RunStep) -> list[RunEvent]:
    """A step was made, and is in progress."""
    return [RunEvent.telling("thread.run.step.created", step), of_step(step)]


def of_message(message: Message) -> RunEvent:
    """What became of a message: `thread.message.<status>`."""
    return RunEvent.telling(f"thread.message.{message.status}", message)


def message_begun(message: Message) -> list[RunEvent]:
    """A message was made, and is in progress."""
    return [RunEvent.telling("thread.message.created", message), of_message(message)]


def text_delta(message_id: str, index: int, text: str) -> RunEvent:
    """More of a text of a message."""
    return _message_delta(message_id, {"index": index, "type": "text", "text": {"value": text}})


def text_begun(message_id: str, index: int, text: str) -> RunEvent:
    """The beginning of a text of a message, which also says that it has no marks."""
    return _message_delta(message_id, {"index": index, "type": "text", "text": {"value": text, "annotations": []}})


def refusal_delta(message_id: str, index: int, text: str) -> RunEvent:
    """More of a refusal in a message."""
    return _message_delta(message_id, {"index": index, "type": "refusal", "refusal": text})


def call_delta(step_id: str, index: int, call_id: str, name: str) -> RunEvent:
    """The beginning of a call of a step."""
    return _call_delta(step_id, index, {"name": name, "arguments": ""}, id=call_id)


def arguments_delta(step_id: str, index: int, text: str) -> RunEvent:
    """More of the arguments of a call of a step."""
    return _call_delta(step_id, index, {"arguments": text})


def output_delta(step_id: str, index: int, output: str) -> RunEvent:
    """What came out of a call of a step, whole."""
    return _call_delta(step_id, index, {"output": output})


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


def _message_delta(message_id: str, part: dict[str, Any]) -> RunEvent:
    data = MessageDelta.of_values({"id": message_id, "delta": {"content": [part]}})
    return RunEvent.telling("thread.message.delta", data)


def _call_delta(step_id: str, index: int, function: dict[str, str], **first: str) -> RunEvent:
    call = {"index": index, **first, "type": "function", "function": function}
    details = {"type": "tool_calls", "tool_calls": [call]}
    data = RunStepDelta.of_values({"id": step_id, "delta": {"step_details": details}})
    return RunEvent.telling("thread.run.step.delta", data)
