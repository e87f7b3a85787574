from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from jan_core.errors import Busy, EngineError, InvalidRequest, ModelNotFound
from jan_core.schemas.common import CompletionUsage
from jan_core.schemas.runs import (
    FunctionStepCall,
    FunctionStepCallBody,
    KeptRun,
    MessageDelta,
    RequiredAction,
    Run,
    RunError,
    RunEvent,
    RunRequest,
    RunStep,
    RunStepDelta,
    RunStepQuery,
    RunToolCall,
    RunUpdate,
    RunUsage,
    StepError,
    ThreadRunRequest,
    ToolCallsDetails,
    ToolOutputsRequest,
    TruncationStrategy,
)
from jan_core.sse import frame
from jan_core.validation import parse_query
from tests.pinned import spec

ADD = {"type": "function", "function": {"name": "add"}}


def run_of(fields: dict[str, Any] | None = None, **settings: Any) -> Run:
    body = RunRequest.model_validate({"assistant_id": "jan", **(fields or {})})
    values = {"model": "m", **settings, **body.layer().values}
    return Run.of(body, id="run_1", thread_id="t", created_at=1, expires_at=601, settings=values)


def step() -> RunStep:
    call = FunctionStepCall(id="call_1", function=FunctionStepCallBody(name="add", arguments="{}"))
    return RunStep(
        id="step_1",
        created_at=1,
        assistant_id="jan",
        thread_id="t",
        run_id="run_1",
        type="tool_calls",
        step_details=ToolCallsDetails(tool_calls=[call]),
    )


def told(reply: Any) -> Any:
    return json.loads(reply.__pydantic_serializer__.to_json(reply))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("thread.run.created", run_of()),
        ("thread.run.requires_action", run_of({"tools": [ADD], "tool_choice": "required"})),
        ("thread.run.step.created", step()),
        ("thread.run.step.delta", RunStepDelta.of("step_1", 0, id="call_1", name="add")),
        ("thread.run.step.delta", RunStepDelta.of("step_1", 0, arguments="{}")),
        ("thread.message.delta", MessageDelta.of("msg_1", "é", first=True)),
        ("thread.message.delta", MessageDelta.of("msg_1", " ")),
    ],
)
def test_events_are_as_the_api_has_them(name: Any, data: Any) -> None:
    event = RunEvent(event=name, data=data)
    head, line = frame(event).decode().strip().split("\n")
    assert head == f"event: {name}"
    spec().validate_event(name, json.loads(line.removeprefix("data: ")))
    assert RunEvent.model_validate_json(event.model_dump_json()) == event


def test_defaults_are_those_of_the_api() -> None:
    run = told(run_of())
    spec().validate("GET", "/v1/threads/t/runs/run_1", 200, run)
    assert (run["tool_choice"], run["response_format"], run["parallel_tool_calls"]) == ("auto", "auto", True)
    assert run["truncation_strategy"] == {"type": "auto", "last_messages": None}
    assert "reasoning_effort" not in run
    assert run["status"] == "queued"


def test_a_run_takes_what_holds() -> None:
    run = run_of({"temperature": 0, "additional_instructions": "More."}, temperature=1, instructions="A.", tools=[ADD])
    assert (run.temperature, run.instructions, told(run)["tools"]) == (0, "A.\nMore.", [ADD])
    assert run_of({"tools": []}, tools=[ADD]).tools == []
    assert run_of({"instructions": ""}, instructions="A.").instructions == ""
    assert RunRequest(assistant_id="a", instructions=None).layer().values == {}


@pytest.mark.parametrize(
    ("fields", "settings", "param", "code"),
    [
        ({}, {"model": None}, "model", "model_required"),
        ({"tool_choice": "required"}, {}, "tool_choice", "unknown_tool"),
        ({"tool_choice": {"type": "file_search"}}, {"tools": [ADD]}, "tool_choice", "unknown_tool"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "b"}}},
            {"tools": [ADD]},
            "tool_choice",
            "unknown_tool",
        ),
        ({}, {"temperature": "hot"}, "temperature", "invalid_setting"),
        ({}, {"instructions": 3}, "instructions", "invalid_setting"),
        ({}, {"tools": 3}, "tools", "invalid_setting"),
        ({}, {"model": 3}, "model", "invalid_setting"),
        ({}, {"response_format": {"type": "x"}}, "response_format", "invalid_setting"),
    ],
)
def test_what_cannot_be_used_is_refused(
    fields: dict[str, Any], settings: dict[str, Any], param: str, code: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        run_of(fields, **settings)
    assert (refused.value.param, refused.value.code) == (param, code)


def test_a_choice_of_a_tool_that_is_there() -> None:
    for choice in ({"type": "file_search"}, {"type": "function", "function": {"name": "add"}}, "required", "none"):
        assert told(run_of({"tools": [ADD, {"type": "file_search"}], "tool_choice": choice}))["tool_choice"] == choice


def test_a_strategy_has_its_number_or_none() -> None:
    for wrong in ({"type": "last_messages"}, {"type": "auto", "last_messages": 1}):
        with pytest.raises(ValidationError):
            TruncationStrategy.model_validate(wrong)


def test_a_thread_and_its_run_are_told_apart() -> None:
    body = ThreadRunRequest.model_validate(
        {
            "assistant_id": "jan",
            "temperature": 1,
            "thread": {"title": "T", "tool_resources": {"file_search": {"vector_store_ids": ["own"]}}},
            "tool_resources": {
                "code_interpreter": {"file_ids": ["f"]},
                "file_search": {"vector_store_ids": ["other"]},
            },
        }
    )
    thread = body.thread_request().model_dump(mode="json", exclude_unset=True)
    resources = {"code_interpreter": {"file_ids": ["f"]}, "file_search": {"vector_store_ids": ["own"]}}
    assert thread == {"title": "T", "tool_resources": resources}
    assert body.run_request().model_dump(exclude_unset=True) == {"assistant_id": "jan", "temperature": 1}
    bare = ThreadRunRequest(assistant_id="jan")
    assert bare.thread_request().model_dump(exclude_unset=True) == {}
    more = ThreadRunRequest.model_validate({"assistant_id": "jan", "tool_resources": {"code_interpreter": {}}})
    assert more.thread_request().model_dump(exclude_unset=True) == {"tool_resources": {"code_interpreter": {}}}


def test_errors_of_an_answer_are_those_of_the_run() -> None:
    for error, code in (
        (Busy("Full."), "rate_limit_exceeded"),
        (EngineError("Gone."), "server_error"),
        (ModelNotFound("None."), "invalid_prompt"),
    ):
        made = RunError.of(error)
        assert (made.code, made.message) == (code, error.message)
        assert StepError.of(made).code == (code if code != "invalid_prompt" else "server_error")


def test_usage_adds_up() -> None:
    one = RunUsage.of(CompletionUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3))
    assert told(one.plus(one)) == {"prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6}
    assert told(RunUsage.of(None)) == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def test_metadata_is_replaced_where_it_is_given() -> None:
    run = run_of({"metadata": {"a": "b"}})
    assert run.changed(RunUpdate()).metadata == {"a": "b"}
    assert run.changed(RunUpdate(metadata=None)).metadata == {}
    assert run.changed(RunUpdate(metadata={"c": "d"})).metadata == {"c": "d"}


def test_whether_it_has_ended_and_what_it_waits_for() -> None:
    assert not run_of().ended
    assert run_of().model_copy(update={"status": "expired"}).ended
    action = RequiredAction.of([RunToolCall.of("call_1", "add", "{}")])
    assert told(action)["submit_tool_outputs"]["tool_calls"][0]["function"] == {"name": "add", "arguments": "{}"}


def test_what_is_kept_comes_back() -> None:
    kept = KeptRun(run=run_of({"tools": [ADD]}), steps=[step()], request={"a": [1, None]})
    assert KeptRun.model_validate_json(kept.model_dump_json()) == kept


def test_include_is_read_from_a_url() -> None:
    wanted = "step_details.tool_calls[*].file_search.results[*].content"
    assert parse_query(RunStepQuery, {"include[]": wanted}).include == [wanted]
    for wrong in ({"include[]": "x"}, {"include": wanted}):
        with pytest.raises(InvalidRequest):
            parse_query(RunStepQuery, wrong)


def test_outputs_name_their_call() -> None:
    body = ToolOutputsRequest.model_validate({"tool_outputs": [{"tool_call_id": "call_1"}]})
    assert body.tool_outputs[0].output is None
    with pytest.raises(ValidationError):
        ToolOutputsRequest.model_validate({"tool_outputs": [{"output": "x"}]})
