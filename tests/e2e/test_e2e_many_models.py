"""Many models in little memory, aliases and `model@engine`, against a real server and its real workers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.server import LINUX, JanServer, add_model, is_running, run_jan, until, write_config
from tests.smollm2 import GO_ON

pytestmark = LINUX

HI: Any = [{"role": "user", "content": "hi"}]
ENDLESS: dict[str, Any] = {"messages": HI, "max_tokens": 900, **GO_ON, "stream": True}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    """A server with room for two of its models, of which one is pinned."""
    root = tmp_path_factory.mktemp("crowded") / "root"
    write_config(
        root,
        jan_llamacpp={"context": 1024, "slots": 2, "prompt_cache_mib": 0},
        jan_workers={"memory_mib": 480, "wait_seconds": 60, "pinned": ["pinned"], "queue": 300},
        aliases={"gpt-4o-mini": "a", "picked": "a@llamacpp", "nowhere": "gone"},
    )
    for name in ("a", "b", "pinned"):
        add_model(root, name, smollm2_path)
    add_model(root, "huge", smollm2_path, settings={"ctx_len": 8192, "n_parallel": 16})
    with JanServer(root) as server:
        yield server


def held(server: JanServer) -> dict[str, dict[str, Any]]:
    # Not through the tests' checked client: it knows OpenAI's API only.
    reply = httpx2.get(f"http://127.0.0.1:{server.port}/engines/models", timeout=20)
    return {one["id"]: one for one in reply.json()["data"]}


def say(server: JanServer, model: str, **more: Any) -> Any:
    return server.client().chat.completions.create(model=model, messages=HI, max_tokens=1, **more)


def command(server: JanServer, *arguments: str) -> tuple[int, str, str]:
    done = run_jan(*arguments, "--root", str(server.root), "--url", f"http://127.0.0.1:{server.port}")
    return done.returncode, done.stdout, done.stderr


def test_the_pinned_model_is_there_before_anybody_asks(crowded: JanServer) -> None:
    until(lambda: held(crowded).get("pinned", {}).get("state") == "loaded", 60, "the pinned model is loaded")


def test_models_take_turns_in_memory_and_the_pinned_one_stays(crowded: JanServer) -> None:
    for name in ("a", "b", "a", "b"):
        assert say(crowded, name).model == name
        assert set(held(crowded)) == {name, "pinned"}
        assert len(crowded.workers()) == 2
        assert sum(one["estimated"] for one in held(crowded).values()) <= 480 << 20


def test_what_never_fits_is_refused_with_figures(crowded: JanServer) -> None:
    for _ in range(2):
        with pytest.raises(openai.BadRequestError) as refused:
            say(crowded, "huge")
        assert refused.value.code == "model_too_large"
        for word in ("MiB", "kv_cache", "ctx_len", "n_parallel", "memory_mib"):
            assert word in refused.value.message
    assert "huge" not in held(crowded)


def test_one_waits_while_another_is_in_use_and_goes_on_when_it_is_idle(crowded: JanServer) -> None:
    stream = crowded.client().chat.completions.create(model="a", **ENDLESS)
    next(iter(stream))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(say, crowded, "b")
        until(lambda: held(crowded).get("b", {}).get("state") == "waiting", 60, "b waits for memory")
        assert held(crowded)["a"]["busy"] == 1
        code, _, err = command(crowded, "models", "unload", "a")
        assert (code, "in use" in err) == (1, True)
        stream.close()
        assert waiting.result(60).model == "b"


def test_an_unchanged_program_finds_its_model_by_an_alias(crowded: JanServer) -> None:
    client = crowded.client()
    listed = [model.id for model in client.models.list()]
    assert listed == sorted(["a", "b", "gpt-4o-mini", "huge", "picked", "pinned"])
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    for name in ("gpt-4o-mini", "picked", "a@llamacpp"):
        assert say(crowded, name).model == name
        chunks = [*client.chat.completions.create(model=name, messages=HI, max_tokens=2, stream=True)]
        assert {chunk.model for chunk in chunks} == {name}
    assert crowded.lines_with(2, model="gpt-4o-mini", status=200)
    assert set(held(crowded)) == {"a", "pinned"}, "an alias was loaded as a model of its own"
    with pytest.raises(openai.NotFoundError, match=r"'nowhere' is an alias of 'gone' \(.*jan\.toml, line \d+\)"):
        say(crowded, "nowhere")
    with pytest.raises(openai.BadRequestError, match=r"needs the engine 'nobody'; chat is served here by llamacpp"):
        say(crowded, "a@nobody")


def test_the_commands_show_load_and_unload(crowded: JanServer) -> None:
    code, out, _ = command(crowded, "models", "load", "gpt-4o-mini")
    assert (code, out.startswith("a is loaded (process ")) == (0, True)
    code, out, _ = command(crowded, "ps")
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines[1:]] == ["a", "pinned"]
    told = {one["id"]: one for one in json.loads(command(crowded, "ps", "--json")[1])}
    assert set(told) == {"a", "pinned"}
    assert told["a"]["pid"] in crowded.workers()
    assert 0.7 < told["a"]["memory"] / told["a"]["estimated"] < 1.3
    assert told["pinned"]["until"] is None
    assert command(crowded, "models", "unload", "a") == (0, "a is unloaded.\n", "")
    assert not is_running(told["a"]["pid"])
    assert command(crowded, "models", "unload", "a") == (0, "a was not loaded.\n", "")
    assert command(crowded, "models", "load", "none")[0] == 1


def test_a_worker_that_is_stopped_is_noticed(tmp_path: Path, smollm2_path: Path) -> None:
    root = tmp_path / "root"
    write_config(root, jan_llamacpp={"context": 1024}, jan_workers={"hang_seconds": 3})
    add_model(root, "m", smollm2_path)
    with JanServer(root) as server:
        stream = server.client().chat.completions.create(model="m", **ENDLESS)
        next(iter(stream))
        os.kill(server.workers()[0], signal.SIGSTOP)
        with pytest.raises(openai.APIError, match="gave no sign of life"):
            for _ in stream:
                pass
        assert say(server, "m").model == "m"


def test_without_a_server_the_commands_say_so(tmp_path: Path) -> None:
    for arguments in (["ps"], ["models", "load", "a"], ["models", "unload", "a"]):
        done = run_jan(*arguments, "--root", str(tmp_path), "--url", "http://127.0.0.1:9")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("jan: No server answers at http://127.0.0.1:9 (")
        assert done.stderr.endswith("Start it: jan serve; or say where: --url.\n")
