"""What changes in a kept run when something happens to it. Nothing here waits, and nothing is stored.

Every function changes the kept run that it is given, inside `RunStore.changing`, and returns the events that tell of
it; they are published when it is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import (
    FunctionStepCall,
    FunctionStepCallBody,
    KeptRun,
    MessageCreationDetails,
    RunEvent,
    RunStatus,
    RunStep,
    RunUsage,
    StepStatus,
    ToolCallsDetails,
    ToolOutputsRequest,
)
from jan_runs import events, states
from jan_runs.notes import NotedCall, Notes

if TYPE_CHECKING:
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import Run, RunError


def saying_of(kept: KeptRun) -> Message | None:
    """The message that a run is saying, with its text as it was stored last; None where it says nothing."""
    return Notes.of(kept).saying


def cancel_wished(kept: KeptRun) -> list[RunEvent]:
    """Somebody cancels the run: it is `cancelling`. Nothing where it is already.

    Raises:
        InvalidRequest: it has ended (`run_ended`).
    """
    run = kept.run
    if run.ended:
        raise InvalidRequest(
            f"The run {run.id} cannot be cancelled: it has ended already, as {run.status}.",
            param="run_id",
            code="run_ended",
        )
    if run.status == "cancelling":
        return []
    kept.run = states.gone(run, "cancelling")
    return [events.of_run(kept.run)]


def outputs_given(kept: KeptRun, body: ToolOutputsRequest) -> list[RunEvent]:
    """The client gives the outputs that the run waits for: the step that asked is done, and the run queued again.

    Raises:
        InvalidRequest: it waits for nothing (`run_not_waiting`); a call is missing, unknown or named twice
            (`invalid_tool_outputs`); or its notes are damaged (`run_damaged`). Nothing is changed then.
    """
    run = kept.run
    if run.status != "requires_action" or run.required_action is None:
        raise InvalidRequest(
            f"The run {run.id} waits for no outputs of tools: it is {run.status}.",
            param="run_id",
            code="run_not_waiting",
        )
    wanted = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]
    outputs: dict[str, str] = {}
    for index, one in enumerate(body.tool_outputs):
        place = f"tool_outputs[{index}].tool_call_id"
        if one.tool_call_id not in wanted:
            raise _refused(f"the run waits for no call {one.tool_call_id!r}; it waits for {', '.join(wanted)}", place)
        if one.tool_call_id in outputs:
            raise _refused(f"the call {one.tool_call_id!r} is there twice", place)
        outputs[one.tool_call_id] = one.output or ""
    if missing := [call_id for call_id in wanted if call_id not in outputs]:
        raise _refused(f"no output for {', '.join(missing)}; give those of all calls at once", "tool_outputs")
    notes = Notes.of(kept)
    asked = notes.rounds[-1].calls if notes.rounds else []
    if not {call.id for call in asked}.issuperset(wanted):
        found = notes.damage or "`request` has no such calls"
        raise InvalidRequest(
            f"The run {run.id} cannot go on: what is noted of the calls that it waits for cannot be read ({found}). "
            "Cancel it, and run the assistant again.",
            param="run_id",
            code="run_damaged",
        )
    for call in asked:
        if call.id in outputs:
            call.output = outputs[call.id]
    told = calls_done(kept, notes)
    notes.to(kept)
    kept.run = states.gone(run, "queued")
    return [*told, events.of_run(kept.run)]


def _refused(what: str, param: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {what}.", param=param, code="invalid_tool_outputs")


def calls_done(kept: KeptRun, notes: Notes) -> list[RunEvent]:
    """All calls of the newest answer have their outputs: the step that asked for them is done."""
    details = calls_of(notes.rounds[-1].calls)
    usage, notes.asking = notes.asking or RunUsage(), None
    return steps_ended(kept, "completed", usage=usage, details=details)


def calls_of(calls: list[NotedCall]) -> ToolCallsDetails:
    """The details of a step that asks for calls."""
    return ToolCallsDetails(
        tool_calls=[
            FunctionStepCall(
                id=call.id,
                function=FunctionStepCallBody(name=call.name, arguments=call.arguments, output=call.output),
            )
            for call in calls
        ]
    )


def steps_ended(
    kept: KeptRun,
    status: StepStatus,
    *,
    usage: RunUsage,
    error: RunError | None = None,
    details: ToolCallsDetails | None = None,
) -> list[RunEvent]:
    """Every step that is in progress ends. The newest of them took all of `usage`; `details` are those of calls."""
    told = []
    going_on = [index for index, step in enumerate(kept.steps) if step.status == "in_progress"]
    for index in going_on:
        step = kept.steps[index]
        changes: dict[str, object] = {"usage": usage if index == going_on[-1] else RunUsage()}
        if details is not None and step.type == "tool_calls":
            changes["step_details"] = details
        kept.steps[index] = states.step_ended(step, status, error=error, **changes)
        told.append(events.of_step(kept.steps[index]))
    return told


def message_done(kept: KeptRun, message_id: str) -> list[RunEvent]:
    """A message was said to its end, and its answer goes on: the answer's tokens count for the step that follows."""
    told = []
    for index, step in enumerate(kept.steps):
        details = step.step_details
        if isinstance(details, MessageCreationDetails) and details.message_creation.message_id == message_id:
            kept.steps[index] = states.step_ended(step, "completed", usage=RunUsage())
            told.append(events.of_step(kept.steps[index]))
    return told


def calls_told(kept: KeptRun, step_id: str, calls: list[NotedCall]) -> None:
    """All calls of a step are known; their outputs are not."""
    for index, step in enumerate(kept.steps):
        if step.id == step_id:
            kept.steps[index] = step.model_copy(update={"step_details": calls_of(calls)})


def ended(
    kept: KeptRun,
    status: RunStatus,
    *,
    error: RunError | None = None,
    reason: str | None = None,
    usage: RunUsage | None = None,
    cut: RunError | None = None,
    details: ToolCallsDetails | None = None,
) -> list[RunEvent]:
    """The run ends, and with it what it was at. Where it is `cancelling`, it ends `cancelled` whatever else it did.

    Args:
        kept: the run.
        status: how it ends.
        error: why, where it fails.
        reason: which limit was reached, where it is incomplete.
        usage: what the answer took that is ending with it.
        cut: why the step in progress fails, where the run does not.
        details: the calls of that step, where it asks for some.
    """
    notes = Notes.of(kept)
    step: StepStatus = "failed" if cut is not None else states.STEP_ENDS[status]
    if kept.run.status == "cancelling":
        status = "cancelled"
    used = usage or RunUsage()
    told = steps_ended(kept, step, usage=notes.asking or used, error=cut or error, details=details)
    total = notes.used.plus(used)
    kept.run = states.ending(kept.run, status)
    if status == "failed":
        assert error is not None
        kept.run = states.failed(kept.run, error, total)
    elif status == "incomplete":
        kept.run = states.incomplete(kept.run, reason, total)
    else:
        kept.run = states.gone(kept.run, status, usage=total)
    kept.request = {}
    return [*told, events.of_run(kept.run)]


def defect(run: Run) -> str:
    """Why a run fails that met an error which nobody expected; the log has it."""
    return f"The server failed while it carried the run on; its log says why, under {run.id}."


def new_step(kept: KeptRun, step: RunStep) -> list[RunEvent]:
    """The run begins a step, unless it is one that it began before and begins anew."""
    for index, one in enumerate(kept.steps):
        if one.id == step.id:
            kept.steps[index] = step
            return []
    kept.steps.append(step)
    return events.step_begun(step)
