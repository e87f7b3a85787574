"""The server that the clients talk to, and how their programs are run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.running import Run, Told
from tests.e2e.server import MODEL, JanServer, add_model, write_config


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    """A server with the real model, which says one sentence, and always the same."""
    root = tmp_path_factory.mktemp("clients") / "root"
    write_config(root)
    add_model(root, MODEL, smollm2_path, parameters={"temperature": 0, "stop": ["."], "max_tokens": 500})
    with JanServer(root) as server:
        yield server


@pytest.fixture(scope="session")
def base_url(served: JanServer) -> str:
    """What a client is told instead of the API's own address."""
    return f"http://127.0.0.1:{served.port}/v1"


@pytest.fixture(scope="session")
def clean_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment without settings of this one that clients read, with a home folder of its own."""
    home = tmp_path_factory.mktemp("client-home")
    ours = ("JAN", "OPENAI", "PYTHON", "VIRTUAL_ENV", "LLM_", "NODE_", "npm_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


@pytest.fixture(scope="session")
def run(base_url: str, clean_environ: dict[str, str]) -> Run:
    """Runs `command base-url model` and returns what it told."""

    def run(*command: str | Path, **environ: str) -> Told:
        done = subprocess.run(
            [*map(str, command), base_url, MODEL],
            env={**clean_environ, **environ},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return Told(lines, done.stderr)

    return run
