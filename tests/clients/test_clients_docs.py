"""The examples of `docs/clients.md`, each in the environment of the client it is for."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.environments import node, python_of
from tests.doc_examples import ADDRESS, REPOSITORY, Block, blocks

PAGE = REPOSITORY / "docs" / "clients.md"
CLIENTS = {"openai-node", "openai-agents", "pydantic-ai", "llm"}
"""Those whose examples run here; openai-python's run with the other documents."""


def of_client(name: str) -> list[Block]:
    return [block for block in blocks(PAGE) if f'client="{name}"' in block.words.split()]


def test_every_client_has_an_example() -> None:
    found = {match[1] for block in blocks(PAGE) if (match := re.search(r'client="([\w-]+)"', block.words))}
    assert found == CLIENTS


@pytest.mark.parametrize("name", sorted(CLIENTS))
def test_examples(name: str, base_url: str, clean_environ: dict[str, str], tmp_path: Path) -> None:
    environ = {**clean_environ, "LLM_USER_PATH": str(tmp_path)}
    if name == "openai-node":
        program, modules = node()
        (tmp_path / "node_modules").symlink_to(modules / "node_modules", target_is_directory=True)
    else:
        program = python_of(name)
        environ["PATH"] = os.pathsep.join([str(program.parent), environ.get("PATH", "")])
    for block in of_client(name):
        text = block.text.replace(f"http://{ADDRESS}/v1", base_url)
        if block.file:
            (tmp_path / block.file).write_text(text, "utf-8")
            continue
        file = tmp_path / {"python": "example.py", "js": "example.mjs", "console": "example.sh"}[block.language]
        file.write_text(text, "utf-8")
        command = ["bash", "-euo", "pipefail", str(file)] if block.language == "console" else [str(program), str(file)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{block.place}:\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), f"{block.place} prints nothing"
