"""The server that most end-to-end tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.e2e.server import MODEL, JanServer, add_model, write_config


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    """A server with the real model, under several ids."""
    root = tmp_path_factory.mktemp("shared") / "root"
    write_config(root)
    folder = add_model(root, MODEL, smollm2_path)
    (folder / "SmolLM2-135M-Instruct.Q8_0.gguf").symlink_to(smollm2_path)
    small = {"ctx_len": 256, "n_parallel": 1}
    add_model(root, "small", smollm2_path, settings=small, parameters={"max_tokens": 3, "temperature": 0})
    add_model(root, "bad-setting", smollm2_path, settings={"ctx_len": "4k"})
    add_model(root, "bad-parameter", smollm2_path, parameters={"temperature": "warm"})
    with JanServer(root) as server:
        yield server
        assert server.checks.replies > 0


@pytest.fixture
def client(shared: JanServer) -> openai.OpenAI:
    """The official client of the shared server."""
    return shared.client()
