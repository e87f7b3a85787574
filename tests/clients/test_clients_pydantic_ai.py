"""pydantic-ai, unchanged: structured output in both of its ways."""

from __future__ import annotations

import pytest

from tests.clients.environments import python_of
from tests.clients.running import PROGRAMS, Run, Told


@pytest.fixture(scope="module")
def told(run: Run) -> Told:
    return run(python_of("pydantic-ai"), PROGRAMS / "pydantic_ai_agents.py")


def test_chat(told: Told) -> None:
    assert told["chat"]["text"].strip()
    assert told["chat"]["output_tokens"] > 0
    assert told["streamed"] == told["chat"]["text"]


@pytest.mark.parametrize("case", ["structured_by_schema", "structured_by_tool", "structured_streamed"])
def test_structured(told: Told, case: str) -> None:
    assert told[case]["kind"] in ("cat", "dog")
    assert told[case]["tame"] in (True, False)


def test_tools(told: Told) -> None:
    assert set(told["tools"]["called"]) <= {"garden", "house"}
    assert told["tools"]["output"]["kind"] in ("cat", "dog")


def test_errors(told: Told) -> None:
    assert told["no_model"]["status"] == 404
    assert told["no_model"]["body"]["code"] == "model_not_found"
    assert told["nobody_there"] == "ModelConnectionError"
