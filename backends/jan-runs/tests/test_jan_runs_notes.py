from __future__ import annotations

import json
from typing import Any

import pytest
from jan_runs import steps
from jan_runs.notes import NotedCall, Notes, Round, note_so_far

from jan_core.schemas.messages import Message
from jan_core.schemas.runs import KeptRun, Run, RunStep, RunUsage

RUN = Run(id="run_1", created_at=1, thread_id="t", assistant_id="jan", model="m")


class TestNotes:
    def test_what_is_noted_is_read_back_as_it_was_from_json(self) -> None:
        notes = Notes(
            parameters={"stop": ["x"]},
            key_name="home",
            rounds=[Round(text="so", message="msg_1", calls=[NotedCall(id="c", name="add", arguments="{}")])],
            used=RunUsage(total_tokens=3),
            saying=Message(id="msg_2", created_at=1, thread_id="t", status="in_progress", role="assistant", content=[]),
            calling=[NotedCall(id="d", name="add", arguments='{"a')],
            heard=True,
        )
        kept = KeptRun(run=RUN)
        notes.to(kept)
        kept.request = json.loads(json.dumps(kept.request))
        assert Notes.of(kept) == notes

    def test_nothing_noted_is_nothing_stored(self) -> None:
        kept = KeptRun(run=RUN)
        Notes().to(kept)
        assert kept.request == {}
        assert Notes.of(kept) == Notes()

    def test_what_a_newer_version_notes_is_passed_over(self) -> None:
        call = {"id": "c", "name": "add", "arguments": "{}", "newer": 1}
        request = {"newer": {}, "rounds": [{"newer": [], "calls": [call]}]}
        notes = Notes.of(KeptRun(run=RUN, request=request))
        assert (notes.rounds[0].calls[0].id, notes.damage) == ("c", "")

    @pytest.mark.parametrize(
        ("request_", "place"),
        [({"rounds": "no"}, "`request.rounds`"), ({"rounds": [{"calls": [{"id": 1}]}]}, "`request.rounds.0.calls.0")],
    )
    def test_what_cannot_be_read_is_nothing_and_says_so(self, request_: dict[str, Any], place: str) -> None:
        notes = Notes.of(KeptRun(run=RUN, request={"key_name": "home", **request_}))
        assert notes.damage.startswith(place)
        assert (notes.key_name, notes.rounds) == (None, [])

    def test_how_far_an_answer_has_come_changes_nothing_else(self) -> None:
        kept = KeptRun(run=RUN)
        Notes(key_name="home").to(kept)
        saying = Message(id="msg_2", created_at=1, thread_id="t", status="in_progress", role="assistant", content=[])
        calling = [NotedCall(id="c", name="add", arguments="{")]
        note_so_far(kept, None, ())
        assert Notes.of(kept) == Notes(key_name="home")
        note_so_far(kept, saying, calling)
        assert Notes.of(kept) == Notes(key_name="home", saying=saying, calling=calling)

    def test_the_calls_of_a_step_that_is_done_are_stored_with_it_alone(self) -> None:
        call = NotedCall(id="c", name="add", arguments="{}", output="long " * 100)
        notes = Notes(rounds=[Round(text="so", step="step_1", calls=[call])])
        kept = KeptRun(run=RUN, steps=[step("in_progress", call)])
        notes.to(kept)
        assert "long" in json.dumps(kept.request)
        kept.steps = [step("completed", call)]
        notes.to(kept)
        assert "long" not in json.dumps(kept.request)
        assert Notes.of(kept) == notes
        kept.steps = []
        assert Notes.of(kept).damage == "`request.rounds.0`: No step has its calls"


def step(status: str, call: NotedCall) -> RunStep:
    given = {"id": "step_1", "created_at": 1, "assistant_id": "jan", "thread_id": "t", "run_id": "run_1"}
    details = steps.calls_of([call])
    return RunStep.model_validate({**given, "type": "tool_calls", "status": status, "step_details": details})
