"""Requests that come again: what a run was given before, and what happened in it, told from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jan_core.schemas.runs import (
    FunctionStepCall,
    KeptRun,
    MessageCreationDetails,
    Run,
    RunEvent,
    RunStep,
    ToolCallsDetails,
    ToolOutputsRequest,
)
from jan_runs import events

if TYPE_CHECKING:
    from jan_core.schemas.messages import Message

_UNKNOWN = dict.fromkeys(("required_action", "last_error", "incomplete_details", "usage"))
_NOT_YET = dict.fromkeys(("completed_at", "cancelled_at", "failed_at"))


def step_given(kept: KeptRun, body: ToolOutputsRequest) -> RunStep | None:
    """The step whose calls were given these very outputs before; None where they are new, or others.

    Args:
        kept: the run.
        body: the outputs.
    """
    given = {one.tool_call_id: one.output or "" for one in body.tool_outputs}
    if not given or len(given) < len(body.tool_outputs):
        return None
    for step in kept.steps:
        if step.status == "completed" and given.items() <= _outputs(step).items():
            return step
    return None


def story(
    kept: KeptRun, messages: Mapping[str, Message], *, expires_at: int, since: str | None = None
) -> Iterator[RunEvent]:
    """What has happened in a run, as events in the order in which they came; each text is one, as long as it is stored.

    That it waited for outputs in between is not told: a stream ends with that.

    Args:
        kept: the run.
        messages: what it said, by id.
        expires_at: when it would have expired.
        since: the step that was given outputs; only what came from then on is told. None for everything.
    """
    run, ids = kept.run, [step.id for step in kept.steps]
    queued = run.model_copy(
        update={"status": "queued", "started_at": None, "expires_at": expires_at, **_UNKNOWN, **_NOT_YET}
    )
    steps: Sequence[RunStep] = kept.steps
    went_on = run.started_at is not None
    if since is None:
        yield from events.created(queued)
    else:
        before = ids.index(since)
        yield events.of_step(steps[before])
        queued.started_at = run.started_at
        yield events.of_run(queued)
        steps = steps[before + 1 :]
        went_on = bool(steps) or run.status in ("in_progress", "completed", "incomplete", "requires_action")
    if went_on:
        yield events.of_run(queued.model_copy(update={"status": "in_progress", "started_at": run.started_at}))
    for step in steps:
        yield from _of_step(step, messages)
    if run.status == "cancelled":
        yield events.of_run(queued.model_copy(update={"status": "cancelling", "started_at": run.started_at}))
    yield events.of_run(run)


def _of_step(step: RunStep, messages: Mapping[str, Message]) -> Iterator[RunEvent]:
    details = step.step_details
    begun: dict[str, Any] = {"status": "in_progress", "last_error": None, "usage": None, "expired_at": None, **_NOT_YET}
    if isinstance(details, ToolCallsDetails):
        begun["step_details"] = ToolCallsDetails(tool_calls=[])
    yield from events.step_begun(step.model_copy(update=begun))
    if isinstance(details, MessageCreationDetails):
        message = messages.get(details.message_creation.message_id)
        if message is not None:
            yield from _of_message(message)
    else:
        for index, call in enumerate(details.tool_calls):
            if isinstance(call, FunctionStepCall):
                yield from _of_call(step.id, index, call)
    if step.status != "in_progress":
        yield events.of_step(step)


def _of_message(message: Message) -> Iterator[RunEvent]:
    begun: dict[str, Any] = {"status": "in_progress", "content": [], "incomplete_details": None, "incomplete_at": None}
    yield from events.message_begun(message.model_copy(update={**begun, "completed_at": None}))
    for index, part in enumerate(message.content):
        if part.type == "text":
            yield events.text_begun(message.id, index, part.text.value)
        elif part.type == "refusal":
            yield events.refusal_delta(message.id, index, part.refusal)
    yield events.of_message(message)


def _of_call(step_id: str, index: int, call: FunctionStepCall) -> Iterator[RunEvent]:
    yield events.call_delta(step_id, index, call.id, call.function.name)
    if call.function.arguments:
        yield events.arguments_delta(step_id, index, call.function.arguments)
    if call.function.output is not None:
        yield events.output_delta(step_id, index, call.function.output)


def _outputs(step: RunStep) -> dict[str, str]:
    details = step.step_details
    calls = details.tool_calls if isinstance(details, ToolCallsDetails) else []
    return {
        call.id: call.function.output
        for call in calls
        if isinstance(call, FunctionStepCall) and call.function.output is not None
    }


def said_in(kept: KeptRun) -> list[str]:
    """The ids of the messages that a run has said."""
    details = [step.step_details for step in kept.steps]
    return [one.message_creation.message_id for one in details if isinstance(one, MessageCreationDetails)]


def is_at_rest(run: Run) -> bool:
    """True where nothing happens in a run until its client does something."""
    return run.ended or run.status == "requires_action"
