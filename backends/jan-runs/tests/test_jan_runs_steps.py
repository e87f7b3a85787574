from __future__ import annotations

from typing import Any

import pytest
from jan_runs import steps
from jan_runs.notes import NotedCall, Notes, Round

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import (
    KeptRun,
    MessageCreation,
    MessageCreationDetails,
    RequiredAction,
    Run,
    RunError,
    RunStep,
    RunToolCall,
    RunUsage,
    ToolCallsDetails,
    ToolOutputsRequest,
)

USED = RunUsage(prompt_tokens=5, completion_tokens=2, total_tokens=7)
SAYS = MessageCreationDetails(message_creation=MessageCreation(message_id="msg_1"))


def kept(status: str, *details: Any, notes: Notes | None = None, **more: Any) -> KeptRun:
    given = {"id": "run_1", "created_at": 1, "thread_id": "t", "assistant_id": "jan", "model": "m", **more}
    found = KeptRun(run=Run.model_validate({**given, "status": status}))
    for number, one in enumerate(details):
        found.steps.append(
            RunStep(
                id=f"step_{number}",
                created_at=1,
                assistant_id="jan",
                thread_id="t",
                run_id="run_1",
                type=one.type,
                step_details=one,
            )
        )
    (notes or Notes()).to(found)
    return found


def waiting() -> KeptRun:
    calls = [NotedCall(id="call_1", name="add", arguments="{}"), NotedCall(id="call_2", name="sub", arguments="{}")]
    notes = Notes(rounds=[Round(text="so", calls=calls)], used=USED, asking=USED)
    action = RequiredAction.of([RunToolCall.of(one.id, one.name, one.arguments) for one in calls])
    return kept("requires_action", steps.calls_of(calls), notes=notes, required_action=action)


def outputs(*ids: str) -> ToolOutputsRequest:
    return ToolOutputsRequest.model_validate(
        {"tool_outputs": [{"tool_call_id": id, "output": f"of {id}"} for id in ids]}
    )


def names(events: list[Any]) -> list[str]:
    return [event.event for event in events]


class TestCancelWished:
    @pytest.mark.parametrize("status", ["queued", "in_progress", "requires_action"])
    def test_the_run_is_cancelling(self, status: str) -> None:
        one = kept(status)
        assert names(steps.cancel_wished(one)) == ["thread.run.cancelling"]
        assert one.run.status == "cancelling"

    def test_once(self) -> None:
        one = kept("cancelling")
        assert steps.cancel_wished(one) == []

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired", "incomplete"])
    def test_one_that_has_ended_stays(self, status: str) -> None:
        with pytest.raises(InvalidRequest, match=status) as refused:
            steps.cancel_wished(kept(status))
        assert refused.value.code == "run_ended"


class TestOutputsGiven:
    def test_the_step_is_done_and_the_run_queued(self) -> None:
        one = waiting()
        assert names(steps.outputs_given(one, outputs("call_2", "call_1"))) == [
            "thread.run.step.completed",
            "thread.run.queued",
        ]
        assert (one.run.status, one.run.required_action) == ("queued", None)
        (step,) = one.steps
        assert step.usage == USED
        assert isinstance(step.step_details, ToolCallsDetails)
        assert [call.function.output for call in step.step_details.tool_calls] == ["of call_1", "of call_2"]  # type: ignore[union-attr]
        notes = Notes.of(one)
        assert [call.output for call in notes.rounds[-1].calls] == ["of call_1", "of call_2"]
        assert (notes.asking, notes.used) == (None, USED)

    @pytest.mark.parametrize(
        ("ids", "param"),
        [
            (("call_1",), "tool_outputs"),
            (("call_1", "call_2", "call_3"), "tool_outputs[2].tool_call_id"),
            (("call_1", "call_1", "call_2"), "tool_outputs[1].tool_call_id"),
        ],
    )
    def test_it_waits_on_where_they_are_not_those_of_its_calls(self, ids: tuple[str, ...], param: str) -> None:
        one = waiting()
        before = one.model_dump()
        with pytest.raises(InvalidRequest) as refused:
            steps.outputs_given(one, outputs(*ids))
        assert refused.value.param == param
        assert one.model_dump() == before

    @pytest.mark.parametrize("status", ["queued", "in_progress", "completed", "cancelling"])
    def test_one_that_waits_for_nothing_takes_none(self, status: str) -> None:
        with pytest.raises(InvalidRequest, match=status):
            steps.outputs_given(kept(status), outputs("call_1"))

    @pytest.mark.parametrize("request_", [{}, {"rounds": "no"}, {"rounds": []}])
    def test_one_whose_notes_are_damaged_takes_none_and_says_what_to_do(self, request_: dict[str, Any]) -> None:
        one = waiting()
        one.request = request_
        before = one.model_dump()
        with pytest.raises(InvalidRequest, match="Cancel it") as refused:
            steps.outputs_given(one, outputs("call_1", "call_2"))
        assert (refused.value.code, refused.value.param) == ("run_damaged", "run_id")
        assert one.model_dump() == before


class TestEnded:
    def test_what_is_in_progress_ends_with_the_run(self) -> None:
        one = kept("in_progress", SAYS, notes=Notes(used=USED))
        assert names(steps.ended(one, "completed", usage=USED)) == ["thread.run.step.completed", "thread.run.completed"]
        assert one.steps[0].usage == USED
        assert one.run.usage == USED.plus(USED)
        assert one.request == {}

    def test_what_had_ended_stays_as_it_is(self) -> None:
        one = kept("in_progress", SAYS)
        steps.ended(one, "completed", usage=USED)
        before = one.steps[0]
        one.run = one.run.model_copy(update={"status": "in_progress"})
        assert names(steps.ended(one, "failed", error=RunError(code="server_error", message="x"))) == [
            "thread.run.failed"
        ]
        assert one.steps[0] == before

    def test_a_failure_tells_why(self) -> None:
        one = kept("in_progress", SAYS)
        steps.ended(one, "failed", error=RunError(code="rate_limit_exceeded", message="why"))
        assert one.run.last_error is not None
        assert one.steps[0].last_error is not None
        assert one.run.last_error.code == one.steps[0].last_error.code == "rate_limit_exceeded"

    def test_a_limit_ends_a_step_as_far_as_it_went(self) -> None:
        one = kept("in_progress", SAYS)
        steps.ended(one, "incomplete", reason="max_completion_tokens")
        assert (one.run.status, one.steps[0].status) == ("incomplete", "completed")

    def test_a_wish_to_cancel_goes_before_every_other_end(self) -> None:
        one = kept("cancelling", SAYS)
        assert names(steps.ended(one, "completed")) == ["thread.run.step.completed", "thread.run.cancelled"]

    def test_one_that_was_found_elsewhere_goes_through_what_lies_between(self) -> None:
        one = kept("queued", SAYS)
        assert names(steps.ended(one, "completed")) == ["thread.run.step.completed", "thread.run.completed"]
        assert one.run.started_at is not None

    def test_damaged_notes_keep_no_run_from_its_end(self) -> None:
        one = kept("in_progress", SAYS)
        one.request = {"rounds": "no"}
        steps.ended(one, "failed", error=RunError(code="server_error", message="x"), usage=USED)
        assert (one.run.usage, one.request) == (USED, {})

    def test_a_step_may_fail_in_a_run_that_does_not(self) -> None:
        one = kept("in_progress", ToolCallsDetails(tool_calls=[]))
        steps.ended(one, "incomplete", reason="max_completion_tokens", cut=RunError(code="server_error", message="cut"))
        assert (one.run.status, one.run.last_error, one.steps[0].status) == ("incomplete", None, "failed")
        assert one.steps[0].last_error is not None
        assert one.steps[0].last_error.message == "cut"

    def test_calls_that_are_waited_for_took_what_was_noted(self) -> None:
        one = waiting()
        steps.ended(one, "expired")
        assert one.steps[0].usage == USED
        assert one.run.usage == USED

    def test_the_calls_of_an_answer_that_broke_off_are_told(self) -> None:
        one = kept("in_progress", ToolCallsDetails(tool_calls=[]))
        details = steps.calls_of([NotedCall(id="call_1", name="add", arguments='{"a')])
        steps.ended(one, "incomplete", reason="max_completion_tokens", details=details)
        assert one.steps[0].step_details == details


class TestMore:
    def test_a_message_that_is_done_leaves_the_tokens_to_the_step_that_follows(self) -> None:
        one = kept("in_progress", SAYS)
        assert names(steps.message_done(one, "msg_1")) == ["thread.run.step.completed"]
        assert one.steps[0].usage == RunUsage()
        assert steps.message_done(one, "msg_2") == []

    def test_the_calls_of_a_step_are_known_before_their_outputs(self) -> None:
        one = kept("in_progress", SAYS, ToolCallsDetails(tool_calls=[]))
        steps.calls_told(one, "step_1", [NotedCall(id="call_1", name="add", arguments="{}")])
        assert isinstance(one.steps[1].step_details, ToolCallsDetails)
        assert [call.id for call in one.steps[1].step_details.tool_calls] == ["call_1"]
        assert one.steps[0].step_details == SAYS

    def test_a_step_that_is_begun_anew_takes_its_place(self) -> None:
        one = kept("in_progress", SAYS)
        again = one.steps[0].model_copy(update={"created_at": 9})
        assert steps.new_step(one, again) == []
        assert [step.created_at for step in one.steps] == [9]
        other = again.model_copy(update={"id": "step_9"})
        assert names(steps.new_step(one, other)) == ["thread.run.step.created", "thread.run.step.in_progress"]

    def test_what_is_being_said_is_noted(self) -> None:
        assert steps.saying_of(kept("in_progress")) is None
