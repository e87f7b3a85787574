from __future__ import annotations

import json
from pathlib import Path

import pytest
from jan_runs_json.lines import exported, restoring

from jan_core.errors import InvalidRequest

STEP = {
    "id": "step_1",
    "object": "thread.run.step",
    "created_at": 10,
    "assistant_id": "a",
    "type": "message_creation",
    "status": "completed",
    "completed_at": 11,
    "step_details": {"type": "message_creation", "message_creation": {"message_id": "msg_1", "own": 1}},
    "note": [{}],
}
RUN = {"created_at": 9, "assistant_id": "a", "model": "m", "status": "completed", "completed_at": 11}


def test_a_run_with_its_steps_and_what_a_person_wrote(tmp_path: Path) -> None:
    path = tmp_path / "run_1.json"
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5}
    path.write_text(json.dumps({**RUN, "usage": usage, "steps": [STEP], "z": None}), "utf-8")
    line = exported("t", "run_1", str(path))
    assert line is not None
    found = json.loads(line)
    assert (found["id"], found["thread_id"], found["usage"], found["z"]) == ("run_1", "t", usage, None)
    (step,) = found["steps"]
    assert (step["run_id"], step["thread_id"], step["note"]) == ("run_1", "t", [{}])
    assert step["step_details"]["message_creation"]["own"] == 1
    ((kept, values),) = restoring("t", [line])
    assert (kept.run.id, len(kept.steps)) == ("run_1", 1)
    path.write_text(json.dumps(values), "utf-8")
    assert exported("t", "run_1", str(path)) == line


def test_what_is_missing_or_damaged_has_no_line(tmp_path: Path) -> None:
    path = tmp_path / "run_1.json"
    assert exported("t", "run_1", str(path)) is None
    for damaged in ("{", "[]", json.dumps({**RUN, "status": "flying"})):
        path.write_text(damaged, "utf-8")
        assert exported("t", "run_1", str(path)) is None


def test_lines_that_cannot_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "run_1.json"
    path.write_text(json.dumps({**RUN, "status": "queued", "completed_at": None}), "utf-8")
    line = exported("t", "run_1", str(path))
    assert line is not None
    with pytest.raises(InvalidRequest, match="is queued"):
        restoring("t", [line])
    with pytest.raises(InvalidRequest, match="not of 'u'"):
        restoring("u", [line])
