"""openai-node, unchanged, on a Node from a package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.clients.environments import node
from tests.clients.running import PROGRAMS, Run, Told
from tests.e2e.server import MODEL


@pytest.fixture(scope="module")
def told(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Told:
    program, modules = node()
    # Node looks for a program's packages beside the program.
    folder = tmp_path_factory.mktemp("node")
    (folder / "node_modules").symlink_to(modules / "node_modules", target_is_directory=True)
    copy: Path = shutil.copy(PROGRAMS / "openai_node.mjs", folder)
    return run(program, copy)


def test_chat(told: Told) -> None:
    reply = told["chat"]
    said = reply["choices"][0]["message"]["content"]
    assert reply["model"] == MODEL
    assert said.strip()
    assert told["streamed"] == said
    assert told["streamed_helper"]["text"] == said
    assert told["streamed_helper"]["final"]["usage"]["total_tokens"] == reply["usage"]["total_tokens"]
    assert told["left_early"] == "chat.completion.chunk"
    assert told["models"] == [MODEL]


def test_tools(told: Told) -> None:
    choice = told["tools"]["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    for call in choice["message"]["tool_calls"]:
        assert call["function"]["name"] == "get_weather"
        assert json.loads(call["function"]["arguments"])["city"] in ("Hanoi", "Paris")


def test_tools_run_by_the_client(told: Told) -> None:
    (given,) = told["tools_run"]["called"]
    assert given["city"] in ("Hanoi", "Paris")
    assert given["days"] in (1, 2, 3)
    assert told["tools_run"]["roles"] == ["user", "assistant", "tool"]


def test_structured(told: Told) -> None:
    assert told["structured"]["kind"] in ("cat", "dog")
    assert told["structured"]["tame"] in (True, False)


def test_errors(told: Told) -> None:
    assert told["no_model"] == {
        "kind": "NotFoundError",
        "known": True,
        "status": 404,
        "code": "model_not_found",
        "param": "model",
    }
    bad = told["bad_value"]
    assert (bad["kind"], bad["status"], bad["param"]) == ("BadRequestError", 400, "temperature")
    assert told["nobody_there"] is True
