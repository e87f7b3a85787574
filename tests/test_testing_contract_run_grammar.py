from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jan_core.schemas.messages import AnnotatedText, Message, TextPart
from jan_core.schemas.runs import (
    FunctionStepCall,
    FunctionStepCallBody,
    MessageCreation,
    MessageCreationDetails,
    MessageDelta,
    RequiredAction,
    Run,
    RunEvent,
    RunStep,
    RunStepDelta,
    RunToolCall,
    RunUsage,
    ToolCallsDetails,
)
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.run_grammar import message_stands, run_stands, step_stands, story

ABOUT: dict[str, Any] = {"thread_id": "t", "assistant_id": "a"}
Pair = tuple[str, dict[str, Any]]


def run(status: Any, **more: Any) -> dict[str, Any]:
    fields = {"expires_at": 9, "started_at": None if status == "queued" else 2}
    if status == "completed":
        fields |= {"expires_at": None, "completed_at": 3, "usage": RunUsage()}
    made = Run(id="run_1", created_at=1, model="m", status=status, **{**ABOUT, **fields, **more})
    return made.model_dump(mode="json")


def step(status: Any, details: Any, **more: Any) -> dict[str, Any]:
    fields = {"completed_at": 3, "usage": RunUsage()} if status == "completed" else {}
    given = {**ABOUT, "run_id": "run_1", **fields, **more}
    made = RunStep(id="step_1", created_at=2, type=details.type, status=status, step_details=details, **given)
    return made.model_dump(mode="json")


def message(status: Any, text: str | None = None) -> dict[str, Any]:
    content = [TextPart(text=AnnotatedText(value=text))] if text is not None else []
    at: dict[str, Any] = {"completed_at": 3} if status == "completed" else {}
    fields = {**ABOUT, **at, "run_id": "run_1"}
    made = Message(id="msg_1", created_at=2, role="assistant", status=status, content=content, **fields)
    return made.model_dump(mode="json")


SAYS = MessageCreationDetails(message_creation=MessageCreation(message_id="msg_1"))
BEGUN: list[Pair] = [
    ("thread.run.created", run("queued")),
    ("thread.run.queued", run("queued")),
    ("thread.run.in_progress", run("in_progress")),
]
ANSWER: list[Pair] = [
    *BEGUN,
    ("thread.run.step.created", step("in_progress", SAYS)),
    ("thread.run.step.in_progress", step("in_progress", SAYS)),
    ("thread.message.created", message("in_progress")),
    ("thread.message.in_progress", message("in_progress")),
    ("thread.message.delta", MessageDelta.of("msg_1", "Hel", first=True).model_dump(mode="json")),
    ("thread.message.delta", MessageDelta.of("msg_1", "lo").model_dump(mode="json")),
    ("thread.message.completed", message("completed", "Hello")),
    ("thread.run.step.completed", step("completed", SAYS)),
    ("thread.run.completed", run("completed")),
]


def calls(output: str | None = None, arguments: str = "{}") -> ToolCallsDetails:
    body = FunctionStepCallBody(name="add", arguments=arguments, output=output)
    return ToolCallsDetails(tool_calls=[FunctionStepCall(id="call_1", function=body)])


WAITS = run("requires_action", required_action=RequiredAction.of([RunToolCall.of("call_1", "add", "{}")]))
CALLS: list[Pair] = [
    *BEGUN,
    ("thread.run.step.created", step("in_progress", ToolCallsDetails(tool_calls=[]))),
    ("thread.run.step.in_progress", step("in_progress", ToolCallsDetails(tool_calls=[]))),
    ("thread.run.step.delta", RunStepDelta.of("step_1", 0, id="call_1", name="add").model_dump(mode="json")),
    ("thread.run.step.delta", RunStepDelta.of("step_1", 0, arguments="{}").model_dump(mode="json")),
    ("thread.run.requires_action", WAITS),
]
RESUMED: list[Pair] = [
    ("thread.run.step.completed", {**step("completed", calls("3")), "id": "step_0"}),
    ("thread.run.queued", run("queued", started_at=2)),
    ("thread.run.in_progress", run("in_progress")),
]


def test_an_answer_is_told() -> None:
    heard = story(ANSWER)
    assert heard.run["status"] == "completed"
    assert heard.pieces == {"msg_1": ["Hel", "lo"]}
    assert heard.statuses == ["queued", "in_progress", "completed"]
    assert [*heard.steps, *heard.messages] == ["step_1", "msg_1"]
    events = [RunEvent.model_validate({"event": name, "data": data}) for name, data in ANSWER]
    assert story(events).names == heard.names


def test_calls_are_told_and_gone_on_from() -> None:
    assert story(CALLS).run == WAITS
    heard = story([*RESUMED, *ANSWER[3:]], resumed=True)
    assert heard.statuses == ["queued", "in_progress", "completed"]


def test_a_thread_comes_first_where_one_was_made() -> None:
    thread = {"object": "thread", "id": "t"}
    assert story([("thread.created", thread), *ANSWER], thread=True).thread == thread
    with pytest.raises(Broken, match="first event"):
        story(ANSWER, thread=True)
    with pytest.raises(Broken, match="no such event"):
        story([("thread.created", thread), *ANSWER])


def test_who_left_hears_no_end() -> None:
    for count in range(len(ANSWER)):
        assert story(ANSWER[:count], whole=False).names == [name for name, _ in ANSWER[:count]]
        with pytest.raises(Broken, match="the events end with"):
            story(ANSWER[:count])


@pytest.mark.parametrize("index", range(len(ANSWER)))
def test_no_event_may_be_missing_or_come_twice(index: int) -> None:
    if index not in (7, 8):  # one delta less is another text: seen at the end of the message
        with pytest.raises(Broken):
            story([*ANSWER[: index + 1], *ANSWER[index:]])
    with pytest.raises(Broken):
        story([*ANSWER[:index], *ANSWER[index + 1 :]])


@pytest.mark.parametrize("index", range(len(ANSWER) - 1))
def test_no_two_events_may_change_places(index: int) -> None:
    with pytest.raises(Broken):
        story([*ANSWER[:index], ANSWER[index + 1], ANSWER[index], *ANSWER[index + 2 :]])


def changed(events: list[Pair], index: int, **fields: Any) -> list[Pair]:
    name, data = events[index]
    return [*events[:index], (name, {**data, **fields}), *events[index + 1 :]]


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (changed(ANSWER, 0, status="in_progress"), "the status in the data"),
        (changed(ANSWER, 1, model="other"), "the run's model"),
        (changed(ANSWER, 2, started_at=None), "there is no started_at"),
        (changed(ANSWER, 3, run_id="run_2"), "the step's run_id"),
        (changed(ANSWER, 5, id="msg_2"), "the message of the step"),
        (changed(ANSWER, 5, role="user"), "who says it"),
        (changed(ANSWER, 7, id="msg_2"), "the message of the delta"),
        (changed(ANSWER, 9, content=[]), "against the deltas"),
        (changed(ANSWER, 10, id="step_2"), "which step ends"),
        (changed(ANSWER, 11, usage=None), "whether there is a usage"),
        (changed(ANSWER, 0, object="thread"), "the object of the data"),
        (changed(CALLS, 7, required_action=None), "whether there is a required_action"),
        (CALLS[:6] + CALLS[7:], "the calls that the run waits for"),
        ([*CALLS[:5], CALLS[6], *CALLS[6:]], "without an id or a name"),
        ([*CALLS, *CALLS[-1:]], "nothing may follow"),
        ([*BEGUN, ("thread.run.completed", run("completed")), *BEGUN[-1:]], "nothing may follow"),
    ],
)
def test_what_contradicts_itself_is_told(events: list[Pair], told: str) -> None:
    with pytest.raises(Broken, match=told):
        story(events)


def test_outputs_are_there_when_it_goes_on() -> None:
    without = ("thread.run.step.completed", step("completed", calls()))
    with pytest.raises(Broken, match="without an output"):
        story([without, *RESUMED[1:], *ANSWER[3:]], resumed=True)


@pytest.mark.parametrize(
    ("look", "given"),
    [
        (run_stands, run("queued", completed_at=3)),
        (run_stands, run("completed", expires_at=9)),
        (run_stands, run("completed", usage=RunUsage(prompt_tokens=1, total_tokens=2))),
        (run_stands, run("completed", completed_at=1)),
        (run_stands, run("failed", failed_at=3, expires_at=None, usage=RunUsage())),
        (step_stands, step("completed", calls(), completed_at=None)),
        (step_stands, step("in_progress", calls(), usage=RunUsage())),
        (step_stands, {**step("in_progress", calls()), "type": "message_creation"}),
        (message_stands, {**message("completed"), "completed_at": None}),
        (message_stands, {**message("in_progress"), "incomplete_details": {"reason": "max_tokens"}}),
    ],
)
def test_fields_go_with_the_status(look: Callable[[dict[str, Any]], None], given: dict[str, Any]) -> None:
    with pytest.raises(Broken):
        look(given)
