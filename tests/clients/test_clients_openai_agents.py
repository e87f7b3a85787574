"""openai-agents, unchanged."""

from __future__ import annotations

import pytest

from tests.clients.environments import python_of
from tests.clients.running import PROGRAMS, Run, Told


@pytest.fixture(scope="module")
def told(run: Run) -> Told:
    return run(python_of("openai-agents"), PROGRAMS / "openai_agents.py")


def test_chat(told: Told) -> None:
    assert told["chat"]["text"].strip()
    assert told["chat"]["output_tokens"] > 0
    assert told["streamed"]["text"] == told["streamed"]["final"] == told["chat"]["text"]


def test_tools(told: Told) -> None:
    first, *more = told["tools"]["outputs"]
    assert first in ("In Hanoi it is warm", "In Paris it is warm")
    # The second turn is the model's own choice: words, or the same tool again.
    assert told["tools"]["text"] is not None or more


def test_tools_streamed(told: Told) -> None:
    *kinds, final = told["tools_streamed"]
    assert "tool_called" in kinds
    assert "tool_output" in kinds
    assert final in ("In Hanoi it is warm", "In Paris it is warm")


def test_structured(told: Told) -> None:
    assert told["structured"]["kind"] in ("cat", "dog")
    assert told["structured"]["tame"] in (True, False)


def test_errors(told: Told) -> None:
    assert told["no_model"] == {"kind": "NotFoundError", "code": "model_not_found"}
    assert told["nobody_there"] == {"kind": "APIConnectionError", "code": None}
