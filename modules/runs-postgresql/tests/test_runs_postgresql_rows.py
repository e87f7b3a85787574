from __future__ import annotations

import json

import pytest
from jan_runs_postgresql.rows import kept_of, line, restoring, run_of, texts_of
from pydantic_core import from_json

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import RunUpdate

RUN = {"id": "run_1", "thread_id": "t", "created_at": 9, "assistant_id": "a", "model": "m", "status": "completed"}
GIVEN = json.dumps({**RUN, "completed_at": 11, "own": {"b": [1, None]}, "steps": [], "request": {"x": 1}}).encode()


def test_a_line_as_a_row_and_back() -> None:
    ((kept, texts),) = restoring("t", [GIVEN])
    assert (kept.run.id, kept.request) == ("run_1", {"x": 1})
    found = line(texts)
    assert found is not None
    assert from_json(found)["own"] == {"b": [1, None]}
    assert restoring("t", [found]) == [(kept, line_texts(found))]
    assert kept_of(texts) == kept
    assert run_of(texts[0]) == kept.run


def line_texts(found: bytes) -> tuple[str, ...]:
    return restoring("t", [found])[0][1]


def test_a_change_of_an_ended_run_keeps_what_the_api_does_not_know() -> None:
    ((kept, texts),) = restoring("t", [GIVEN])
    changed = kept.model_copy(update={"run": kept.run.changed(RunUpdate(metadata={"later": "yes"}))})
    run, steps, request = texts_of(changed, texts)
    assert from_json(run) == {**from_json(texts[0]), "metadata": {"later": "yes"}}
    assert (steps, request) == texts[1:]
    assert from_json(texts_of(changed)[0]).keys().isdisjoint({"own"})


def test_a_damaged_row() -> None:
    ((_, texts),) = restoring("t", [GIVEN])
    damaged = (texts[0].replace('"completed"', '"flying"'), *texts[1:])
    assert line(damaged) is None
    assert run_of(damaged[0]) is None
    with pytest.raises(InvalidRequest, match="status") as caught:
        kept_of(damaged)
    assert caught.value.code == "damaged_row"
