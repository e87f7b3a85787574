"""`beta.threads.runs` of openai-python and openai-node, with their helpers, unchanged."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import node
from tests.clients.running import PROGRAMS, Run, Told
from tests.e2e.server import MODEL

SAID = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]


@pytest.fixture(scope="module", params=["openai-python", "openai-node"])
def told(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Told:
    if request.param == "openai-python":
        # Its own warning that OpenAI itself serves these no longer.
        ignore = "ignore::DeprecationWarning"
        return run(sys.executable, "-W", "error", "-W", ignore, PROGRAMS / "openai_runs.py")
    program, modules = node()
    folder = tmp_path_factory.mktemp("node-runs")
    (folder / "node_modules").symlink_to(modules / "node_modules", target_is_directory=True)
    copy: Path = shutil.copy(PROGRAMS / "openai_runs.mjs", folder)
    return run(program, copy)


def is_answer(found: dict[str, Any]) -> None:
    assert (found["role"], found["status"]) == ("assistant", "completed")
    assert found["text"]


def test_create_and_poll(told: Told) -> None:
    found = told["polled"]
    run = found["run"]
    assert run["id"].startswith("run_")
    assert (run["status"], run["model"], run["usage"]) == ("completed", MODEL, True)
    is_answer(found["answer"])
    assert found["answer"]["run"] == run["id"]
    assert found["steps"] == [["message_creation", "completed"]]
    assert found["same_step"]
    assert (found["metadata"], found["listed"], found["instructions"]) == ({"a": "b"}, [run["id"]], "Be short.")


def test_create_and_poll_without_an_interval(told: Told) -> None:
    found = told["polled_unhurried"]
    assert found["status"] in ("completed", "incomplete")
    # By themselves they wait for one second and for five.
    assert found["shortest"] < 800


def test_stream(told: Told) -> None:
    found = told["streamed"]
    assert found["events"] == SAID
    is_answer(found["answer"])
    assert found["text"] == found["final"] == found["answer"]["text"]


def test_create_and_run_stream(told: Told) -> None:
    found = told["made_and_streamed"]
    assert found["events"] == ["thread.created", *SAID]
    assert found["run"]["status"] == "completed"
    assert found["text"] == found["answer"]["text"]


def test_submit_tool_outputs_stream(told: Told) -> None:
    found = told["called"]
    assert (found["first"], found["arguments"]) == ("thread.run.requires_action", {"place": "Ulm"})
    assert (found["output"], found["begins"]) == ("Sunny.", "thread.run.step.completed")
    assert found["last"] == "thread.run.completed"


def test_cancel(told: Told) -> None:
    assert told["cancelled"] == {"wished": "cancelling", "ended": "cancelled"}


def test_errors(told: Told) -> None:
    assert told["errors"] == {
        "no_thread": {"status": 404, "code": "thread_not_found", "param": "thread_id"},
        "no_assistant": {"status": 404, "code": "assistant_not_found", "param": "assistant_id"},
        "no_run": {"status": 404, "code": "run_not_found", "param": "run_id"},
    }
