"""A real `jan serve`, as a user has it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx2
import openai
import pytest

from tests.command_line import end, kill_started, run, start, until
from tests.e2e.server import MODEL, JanServer, write_config


def test_a_server_with_keys(root: Path) -> None:
    write_config(root, plugins={"use": ["auth-keys"]})
    made = run("keys", "add", "laptop", "--root", root)
    key = made.out.strip()
    assert made.code == 0
    models = run("keys", "add", "reader", "--allow", "models:read", "--root", root).out.strip()
    with JanServer(root) as server:
        base = f"http://127.0.0.1:{server.port}/v1"

        def client(api_key: str) -> openai.OpenAI:
            return openai.OpenAI(base_url=base, api_key=api_key, max_retries=0, http_client=server.http())

        ask = {"model": MODEL, "messages": [{"role": "user", "content": "Say hello"}], "max_tokens": 8}
        reply = client(key).chat.completions.with_raw_response.create(**ask)  # type: ignore[call-overload]
        assert json.loads(reply.text)["choices"][0]["message"]["content"]
        assert server.line_of(reply.headers["x-request-id"])["key_name"] == "laptop"
        pieces = list(client(key).chat.completions.create(**ask, stream=True))  # type: ignore[call-overload]
        assert len(pieces) > 2
        assert [one.id for one in client(models).models.list()] == [MODEL]
        with pytest.raises(openai.PermissionDeniedError):
            client(models).chat.completions.create(**ask)  # type: ignore[call-overload]
        with pytest.raises(openai.AuthenticationError):
            client("x").models.list()
        assert server.http().get("/health").status_code == 200
        assert server.http().get("/openapi.json").status_code == 401
        listed = run("ps", "--root", root, "--url", base)
        assert listed.code == 1
        assert "asks for a key" in listed.err
        run("keys", "revoke", "laptop", "--root", root)
        with pytest.raises(openai.AuthenticationError):
            client(key).models.list()
        said = "\n".join([*server.stdout, *server.stderr])
    assert key not in said
    assert models not in said


def test_it_may_be_reached_from_elsewhere_only_with_a_key(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_config(root, plugins={"use": ["auth-keys"]})
    serve = ("serve", "--root", str(root), "--host", "0.0.0.0", "--port", "0")
    refused = run(*serve)
    assert refused.code == 2
    assert "keys.toml" in refused.err
    assert "jan keys add" in refused.err
    key = run("keys", "add", "laptop", "--root", root).out.strip()
    server = start(*serve)
    try:
        address = until(server, "Ctrl-C")
        port = int(re.search(r":(\d+)/v1", address)[1])  # type: ignore[index]
        models = f"http://127.0.0.1:{port}/v1/models"
        with httpx2.Client(headers={"host": "my.box"}) as http:
            assert http.get(models).status_code == 401
            assert http.get(models, headers={"authorization": f"Bearer {key}"}).status_code == 200
        server.terminate()
        done = end(server)
        assert key not in done.out + done.err
    finally:
        kill_started()
