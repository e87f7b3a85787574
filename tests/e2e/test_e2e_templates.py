"""Chat templates from strangers: nothing they try runs, and what loops is ended, while the server stays quick."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import httpx2
import numpy as np
import pytest

from tests.e2e.raw import CHAT
from tests.e2e.server import LINUX, MODEL, JanServer, add_model, write_config

pytestmark = [pytest.mark.faults, LINUX]

SECONDS = 1.0
HI = [{"role": "user", "content": "hi"}]
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = a * b %}{% endfor %}{% endfor %}"
PLAIN = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
DOUBLING = "{% set ns = namespace(s='x' * 1000) %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch MARK') }}",
    "{{ lipsum.__globals__['os'].popen('touch MARK').read() }}",
    "{{ self.__init__.__globals__.__builtins__.open('MARK', 'w').write('x') }}",
    "{{ messages.__class__.__base__.__subclasses__()[100]('MARK') }}",
    "{{ raise_exception.__globals__['__builtins__']['open']('MARK', 'w') }}",
    "{{ '%s'|format(messages)|attr('__class__') }}{{ (messages|attr('append'))(1) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(namespace) }}",
]
FLOODS = [
    "{% for i in range(10**9) %}x{% endfor %}",
    LOOP,
    DOUBLING,
    "{{ 'x' * 10**11 }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}",
]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    root = tmp_path_factory.mktemp("attacked") / "root"
    write_config(
        root, jan_llamacpp={"slots": 2, "context": 512, "template_seconds": SECONDS}, jan_workers={"load_seconds": 30}
    )
    add_model(root, MODEL, smollm2_path)
    with JanServer(root) as server:
        assert ask(server.http(), MODEL).status_code == 200
        yield server


@pytest.fixture
def quick(full_counts: bool) -> float:
    """Milliseconds within which `/health` answers; a template that blocked the server would do so for `SECONDS`."""
    return 500 if full_counts else 900 * SECONDS


@pytest.fixture
def soon(full_counts: bool) -> float:
    """Seconds until a template is refused, its worker's start included; left alone it would go on for hours."""
    return SECONDS * (8 if full_counts else 40)


class Pulse:
    """Asks `/health` again and again in a thread, for the time of a `with`, and keeps how long each took."""

    def __init__(self, server: JanServer) -> None:
        self.ms: list[float] = []
        self._http = server.http()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(0.01):
            began = time.monotonic()
            if self._http.get("/health").status_code == 200:
                self.ms.append((time.monotonic() - began) * 1000)

    def p99(self) -> float:
        return statistics.quantiles(self.ms, n=100)[98]


def ask(http: httpx2.Client, model: str, text: str = "hi") -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1}
    return http.post(CHAT, json=body)


def tool(name: str) -> dict[str, Any]:
    """A tool that takes nothing."""
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}


def templated(server: JanServer, weights: Path, name: str, template: str) -> str:
    folder = server.root / "models" / name
    description = {"settings": {"chat_template": template, "ctx_len": 256, "n_parallel": 2}}
    if folder.exists():
        (folder / "model.json").write_text(json.dumps(description))
    else:
        add_model(server.root, name, weights, **description)
    return name


def test_what_reaches_for_python_runs_nothing(attacked: JanServer, smollm2_path: Path, tmp_path: Path) -> None:
    mark, http = tmp_path / "mark", attacked.http()
    refused = 0
    for payload in ESCAPES:
        model = templated(attacked, smollm2_path, "escape", payload.replace("MARK", str(mark)) + PLAIN)
        reply = ask(http, model)
        assert not mark.exists(), payload
        assert reply.status_code == 400, payload
        error = reply.json()["error"]
        assert error["message"].startswith("model.json of 'escape': settings.chat_template: "), payload
        assert error["code"] == "harmful_template", "the engine's own renderer got to see it"
        refused += 1
    assert ask(http, MODEL).status_code == 200
    print(f"\n{len(ESCAPES)} escapes: executions 0, refused {refused}")


def test_what_never_ends_or_fills_memory_is_refused_in_time(
    attacked: JanServer, smollm2_path: Path, quick: float, soon: float
) -> None:
    http, times = attacked.http(), []
    with Pulse(attacked) as pulse:
        for payload in FLOODS:
            model = templated(attacked, smollm2_path, "flood", payload)
            began = time.monotonic()
            reply = ask(http, model)
            times.append(time.monotonic() - began)
            assert reply.status_code == 400, (payload, reply.text)
            assert reply.json()["error"]["code"] == "harmful_template", (payload, reply.text)
            assert ask(http, MODEL).status_code == 200
    assert max(times) < soon
    assert pulse.p99() < quick
    print(
        f"\n{len(FLOODS)} floods: refused after at most {max(times):.1f} s; "
        f"/health meanwhile: p99 {pulse.p99():.1f} ms of {len(pulse.ms)}"
    )


def test_what_strikes_at_one_message_only_is_ended_too(
    attacked: JanServer, smollm2_path: Path, full_counts: bool, quick: float, soon: float
) -> None:
    http, times = attacked.http(), []
    with Pulse(attacked) as pulse:
        for flood in [LOOP, DOUBLING] * 3 if full_counts else [LOOP]:
            trap = "{% if 'sesame' in messages[-1]['content'] %}" + flood + "{% endif %}" + PLAIN
            model = templated(attacked, smollm2_path, "trap", trap)
            assert ask(http, model).status_code == 200
            began = time.monotonic()
            reply = ask(http, model, "open sesame")
            times.append(time.monotonic() - began)
            assert reply.status_code in (400, 503), reply.text
            assert reply.json()["error"]["code"] in ("template_timeout", "out_of_memory"), reply.text
            assert ask(http, MODEL).status_code == 200
        assert ask(http, model).status_code == 200
    assert max(times) < soon
    assert pulse.p99() < quick
    print(
        f"\na template that strikes at one word ({len(times)} times): ended after at most {max(times):.1f} s; "
        f"/health meanwhile: p99 {pulse.p99():.1f} ms of {len(pulse.ms)}"
    )


@pytest.mark.parametrize(
    "payload", [*ESCAPES[:4], LOOP, DOUBLING], ids=["mro", "globals", "popen", "open", "loop", "doubling"]
)
def test_what_strikes_only_where_tools_are_is_found_before_anybody_gives_some(
    attacked: JanServer, smollm2_path: Path, tmp_path: Path, payload: str, quick: float
) -> None:
    mark, http = tmp_path / "mark", attacked.http()
    trap = "{% if tools %}" + payload.replace("MARK", str(mark)) + "{% endif %}" + PLAIN
    model = templated(attacked, smollm2_path, "tools", trap)
    with Pulse(attacked) as pulse:
        for body in ({}, {"tools": [tool("f")]}):
            reply = http.post(CHAT, json={"model": model, "messages": HI, "max_tokens": 1, **body})
            assert (reply.status_code, reply.json()["error"]["code"]) == (400, "harmful_template"), reply.text
    assert not mark.exists()
    assert ask(http, MODEL).status_code == 200
    assert pulse.p99() < quick


def test_what_strikes_at_one_tool_only_is_ended_too(
    attacked: JanServer, smollm2_path: Path, quick: float, soon: float
) -> None:
    trap = "{% if tools and tools[0]['function']['name'] == 'sesame' %}" + LOOP + "{% endif %}" + PLAIN
    model, http = templated(attacked, smollm2_path, "tool-trap", trap), attacked.http()

    def given(name: str) -> httpx2.Response:
        return http.post(CHAT, json={"model": model, "messages": HI, "max_tokens": 1, "tools": [tool(name)]})

    assert given("f").status_code == 200
    with Pulse(attacked) as pulse:
        began = time.monotonic()
        reply = given("sesame")
        seconds = time.monotonic() - began
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "template_timeout"), reply.text
    assert seconds < soon
    assert pulse.p99() < quick
    assert given("f").status_code == 200
    print(
        f"\na template that strikes at one tool: ended after {seconds:.1f} s; "
        f"/health meanwhile: p99 {pulse.p99():.1f} ms of {len(pulse.ms)}"
    )


def test_a_template_that_refuses_a_conversation_says_so(attacked: JanServer, smollm2_path: Path) -> None:
    picky = "{% if messages|length > 1 %}{{ raise_exception('one message only') }}{% endif %}" + PLAIN
    model = templated(attacked, smollm2_path, "picky", picky)
    http = attacked.http()
    assert ask(http, model).status_code == 200
    reply = http.post(CHAT, json={"model": model, "messages": HI * 2, "max_tokens": 1})
    assert reply.status_code == 400
    assert "one message only" in reply.json()["error"]["message"]
    assert ask(http, model).status_code == 200


@pytest.mark.parametrize("payload", [ESCAPES[1], LOOP], ids=["escape", "loop"])
def test_a_template_in_the_files_own_header_is_looked_at_too(attacked: JanServer, tmp_path: Path, payload: str) -> None:
    mark = tmp_path / "mark"
    folder = attacked.root / "models" / f"header-{len(payload)}"
    folder.mkdir()
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    writer.add_block_count(2)
    writer.add_context_length(256)
    writer.add_embedding_length(64)
    writer.add_chat_template(payload.replace("MARK", str(mark)))
    writer.add_tensor("blk.0.weight", np.ones((4, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    reply = ask(attacked.http(), folder.name)
    assert reply.status_code == 400
    error: dict[str, Any] = reply.json()["error"]
    assert error["code"] == "harmful_template"
    assert str(folder / "model.gguf") in error["message"]
    assert not mark.exists()
