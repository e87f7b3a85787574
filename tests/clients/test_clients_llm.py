"""simonw's `llm`, unchanged, with a file that names the server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.environments import python_of
from tests.e2e.server import MODEL

Llm = Callable[..., subprocess.CompletedProcess[str]]
SCHEMA = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["cat", "dog"]}, "tame": {"type": "boolean"}},
    "required": ["kind", "tame"],
    "additionalProperties": False,
}
TOOL = '''
def get_weather(city: str) -> str:
    """The weather of a city."""
    return "warm"
'''


@pytest.fixture
def llm(base_url: str, clean_environ: dict[str, str], tmp_path: Path) -> Llm:
    """Runs `llm` with the models `jan`, and `nothing`, which the server does not have."""
    python = python_of("llm")
    abilities = f"  api_base: {base_url}\n  supports_tools: true\n  supports_schema: true\n"
    models = [f"- model_id: {one}\n  model_name: {name}\n" for one, name in [("jan", MODEL), ("nothing", "no-such")]]
    (tmp_path / "extra-openai-models.yaml").write_text("".join(model + abilities for model in models))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {**clean_environ, "LLM_USER_PATH": str(tmp_path)}
        command = [str(python), "-m", "llm", *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)

    return run


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_chat(llm: Llm) -> None:
    streamed = said(llm("-m", "jan", "-s", "Be brief.", "Say hello in three words."))
    assert streamed.strip()
    assert said(llm("-m", "jan", "--no-stream", "-s", "Be brief.", "Say hello in three words.")) == streamed
    assert said(llm("-c", "And now in two."))  # goes on with the conversation it has kept


def test_usage_is_shown(llm: Llm) -> None:
    done = llm("-m", "jan", "--usage", "Say hello in three words.")
    assert said(done)
    assert "Token usage: " in done.stderr


def test_structured(llm: Llm) -> None:
    for more in ([], ["--no-stream"]):
        animal = json.loads(said(llm("-m", "jan", *more, "--schema", json.dumps(SCHEMA), "Describe a cat.")))
        assert animal["kind"] in ("cat", "dog")
        assert animal["tame"] in (True, False)


def test_tools_are_offered(llm: Llm) -> None:
    # It cannot ask for a call, and a model this small makes none by itself: that it answers is all there is to see.
    assert said(llm("-m", "jan", "--functions", TOOL, "Say hello in three words.")).strip()


def test_errors(llm: Llm) -> None:
    done = llm("-m", "nothing", "Hello")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "no-such" in done.stderr
    done = llm("-m", "jan", "-o", "temperature", "2", "-o", "max_tokens", "-5", "Hello")
    assert done.returncode == 1
    assert "max_tokens" in done.stderr
