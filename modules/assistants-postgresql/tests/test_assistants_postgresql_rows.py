from __future__ import annotations

import json
from typing import Any

import pytest
from jan_assistants_postgresql.rows import assistants_of, fields_changed, fields_of, line, restoring, settings_in
from pydantic_core import from_json

from jan_core.errors import InvalidRequest
from jan_core.schemas.assistants import Assistant

FULL = Assistant.model_validate(
    {
        "id": "asst_1",
        "created_at": 1,
        "name": "\0 \U0001f600",
        "model": "m",
        "instructions": '"\\\n',
        "tools": [{"type": "code_interpreter"}],
        "metadata": {"a\0": "b"},
        "temperature": 0.5,
        "avatar": "x",
    }
)


@pytest.mark.parametrize("assistant", [FULL, Assistant(id="jan", created_at=2, model="")])
def test_there_and_back(assistant: Assistant) -> None:
    assert assistants_of([(assistant.id, assistant.created_at, fields_of(assistant))]) == [assistant]


def test_a_line_as_a_row_and_back() -> None:
    given = b'{"id":"a","created_at":1,"model":"m","own":{"b":[1,null]},"model.json":{"id":"x"}}'
    (row,) = restoring([given])
    assert (row["id"], row["created_at"]) == ("a", 1)
    fields = row["fields"]
    found = from_json(line(**row))
    assert (found["own"], found["model.json"], found["tools"]) == ({"b": [1, None]}, {"id": "x"}, [])
    (assistant,) = assistants_of([("a", 1, fields)])
    after = from_json(fields_changed(fields, assistant.model_copy(update={"model": "n"}), {"model", "id"}))
    assert after == {"model": "n", "own": {"b": [1, None]}, "model.json": {"id": "x"}}
    with pytest.raises(InvalidRequest, match="model"):
        restoring([b'{"id":"a","created_at":1}'])


@pytest.mark.parametrize(
    ("fields", "settings"),
    [
        ({"model": "", "tools": []}, [{}]),
        (
            {"model": "m", "temperature": 0, "name": "x", "parameters": {"top_k": 1}},
            [{"model": "m", "temperature": 0, "top_k": 1}],
        ),
        (
            {"model": "", "model.json": {"id": "x", "parameters": {"seed": 1}, "instructions": "i"}},
            [{}, {"model": "x", "seed": 1, "instructions": "i"}],
        ),
        ({"model": "", "model.json": {"id": "*", "parameters": 5}}, [{}, {}]),
        ({"model": "", "model.json": "text"}, [{}]),
    ],
)
def test_what_a_row_sets(fields: dict[str, Any], settings: list[dict[str, Any]]) -> None:
    assert settings_in(json.dumps(fields)) == settings
