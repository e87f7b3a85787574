"""openai-python, unchanged: it runs in this environment, which has it already."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.clients.running import PROGRAMS, Run, Told
from tests.e2e.server import MODEL


@pytest.fixture(scope="module")
def told(run: Run) -> Told:
    return run(sys.executable, "-W", "error", PROGRAMS / "openai_python.py")


def test_chat(told: Told) -> None:
    reply = told["chat"]
    assert reply["model"] == MODEL
    assert reply["choices"][0]["message"]["content"].strip()
    assert reply["usage"]["completion_tokens"] > 0
    assert told["models"] == [MODEL]


def test_streams_say_the_same(told: Told) -> None:
    said = told["chat"]["choices"][0]["message"]["content"]
    assert told["streamed"]["text"] == said
    final = told["streamed"]["final"]
    assert final["choices"][0]["message"]["content"] == said
    assert final["usage"]["total_tokens"] == told["chat"]["usage"]["total_tokens"]
    assert told["streamed_async"] == said


def calls_of(reply: dict[str, Any]) -> list[dict[str, Any]]:
    choice = reply["choices"][0]
    for call in choice["message"]["tool_calls"]:
        assert call["id"]
        assert call["function"]["name"] == "get_weather"
        arguments = json.loads(call["function"]["arguments"])
        assert arguments["city"] in ("Hanoi", "Paris")
        assert arguments["days"] in (1, 2, 3)
    return list(choice["message"]["tool_calls"])


def test_tools(told: Told) -> None:
    first, second = told["tools"]["first"], told["tools"]["second"]
    assert first["choices"][0]["finish_reason"] == "tool_calls"
    assert calls_of(first)
    message = second["choices"][0]["message"]
    assert not message["tool_calls"]
    assert message["content"].strip()


def test_tools_streamed(told: Told) -> None:
    assert len(calls_of(told["tools_streamed"]["final"])) == 1
    assert "tool_calls.function.arguments.done" in told["tools_streamed"]["kinds"]


def test_structured(told: Told) -> None:
    for case in ("structured", "structured_streamed"):
        animal = told[case]
        assert animal["kind"] in ("cat", "dog")
        assert animal["legs"] in (2, 4)
        assert animal["tame"] in (True, False)


def test_errors(told: Told) -> None:
    assert told["no_model"] == {
        "kind": "NotFoundError",
        "status": 404,
        "code": "model_not_found",
        "param": "model",
    }
    bad = told["bad_value"]
    assert (bad["kind"], bad["status"], bad["param"]) == ("BadRequestError", 400, "temperature")
    assert told["nobody_there"] == "APIConnectionError"
