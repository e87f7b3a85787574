"""The worker as its parent sees it: a process, frames in, frames out."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp.parameters import load_parameters
from jan_llamacpp.settings import LlamaCppSettings
from jan_workers import wire

from jan_core.schemas.models import ModelLocation
from tests.smollm2 import ENGINE_GO_ON

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 2}
ENDLESS = {**BODY, **ENGINE_GO_ON, "max_tokens": 400}


class Worker:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jan_llamacpp.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def send(self, kind: int, request: int, told: Any = None, task: str = "chat") -> None:
        assert self.process.stdin is not None
        head = f"{task}\n".encode() if kind == wire.REQUEST else b""
        payload = b"" if told is None else head + json.dumps(told).encode()
        self.process.stdin.write(wire.pack(kind, request, payload))
        self.process.stdin.flush()

    def next(self) -> tuple[int, int, Any]:
        assert self.process.stdout is not None
        length, request, kind = wire.HEADER.unpack(self.process.stdout.read(wire.HEADER.size))
        payload = self.process.stdout.read(length)
        if kind == wire.TAKEN:
            return self.next()
        return kind, request, json.loads(payload) if payload else None

    def until(self, wanted: int) -> list[tuple[int, int, Any]]:
        found = [self.next()]
        while found[-1][0] != wanted:
            found.append(self.next())
        return found

    def close(self) -> int:
        """Close its stdin, as the death of its parent does; returns its exit code."""
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker()
    late = threading.Timer(120, found.process.kill)  # ends a test that waits for a frame in vain
    late.start()
    yield found
    late.cancel()
    found.process.kill()
    found.process.communicate()


@pytest.fixture
def told(quick: LlamaCppSettings, location: Callable[..., ModelLocation]) -> dict[str, Any]:
    return load_parameters(location(), quick)


def test_it_loads_answers_cancels_and_ends_with_its_stdin(worker: Worker, told: dict[str, Any]) -> None:
    worker.send(wire.LOAD, 0, told)
    assert [worker.next()[0] for _ in range(3)] == [wire.STARTED, wire.CHECKED, wire.READY]
    worker.send(wire.REQUEST, 7, BODY)
    frames = worker.until(wire.END)
    assert {request for _, request, _ in frames} == {7}
    assert {kind for kind, _, _ in frames[:-1]} == {wire.EVENT}
    assert frames[-1] == (wire.END, 7, None)

    worker.send(wire.REQUEST, 8, ENDLESS)
    first = worker.next()
    assert first[:2] == (wire.EVENT, 8)
    worker.send(wire.CANCEL, 8)
    told = [choice for _, _, piece in worker.until(wire.END) if piece for choice in piece.get("choices", ())]
    assert not [choice for choice in told if choice["finish_reason"]], "it went on to its end after the cancellation"

    worker.send(wire.REQUEST, 9, ENDLESS)
    worker.next()
    assert worker.close() == 0, "it did not end at once with its parent"


def test_a_request_cancelled_before_it_began_still_ends(worker: Worker, told: dict[str, Any]) -> None:
    worker.send(wire.LOAD, 0, told)
    worker.until(wire.READY)
    worker.send(wire.CANCEL, 3)
    worker.send(wire.REQUEST, 3, ENDLESS)
    frames = worker.until(wire.END)
    assert len(frames) <= 2
    assert frames[-1][:2] == (wire.END, 3)


@pytest.mark.parametrize(
    ("template", "code"),
    [("{{ ''.__class__.__mro__ }}", "harmful_template"), ("{{ 'x' * 10**11 }}", "harmful_template")],
)
def test_a_harmful_template_ends_it_before_the_model_is_opened(
    worker: Worker, told: dict[str, Any], template: str, code: str
) -> None:
    worker.send(wire.LOAD, 0, {**told, "path": "/nowhere/at/all.gguf", "chat_template": template})
    frames = worker.until(wire.FATAL)
    assert [kind for kind, _, _ in frames] == [wire.STARTED, wire.FATAL]
    assert frames[-1][2]["code"] == code
    assert worker.process.wait(timeout=60) == 3


def test_a_model_that_cannot_be_opened_ends_it_with_a_reason(
    worker: Worker, told: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"nothing")
    worker.send(wire.LOAD, 0, {**told, "path": str(path)})
    kind, _, reason = worker.until(wire.FATAL)[-1]
    assert (kind, reason["code"]) == (wire.FATAL, "load_failed")
    _, stderr = worker.process.communicate(timeout=60)
    assert b"broken.gguf" in stderr or reason["message"]


@pytest.mark.parametrize("wrong", ["{% if %}", "{% for m in messages %}x"])
def test_a_template_of_model_json_that_cannot_be_read_ends_it_with_the_line(
    worker: Worker, told: dict[str, Any], wrong: str
) -> None:
    worker.send(wire.LOAD, 0, {**told, "chat_template": wrong, "chat_template_override": wrong})
    reason = worker.until(wire.FATAL)[-1][2]
    assert reason["code"] == "bad_template"
    assert reason["message"].startswith("the chat template cannot be read: line 1: ")


def test_a_template_that_computes_too_long_on_a_request_ends_it(worker: Worker, told: dict[str, Any]) -> None:
    trap = (
        "{% for m in messages %}{% if 'sesame' in m['content'] %}{% for a in range(99999) %}{% for b in range(99999) %}"
        "{% set c = a * b %}{% endfor %}{% endfor %}{% endif %}{{ m['content'] }}{% endfor %}"
    )
    worker.send(wire.LOAD, 0, {**told, "chat_template": trap, "chat_template_override": trap, "template_seconds": 0.5})
    worker.until(wire.READY)
    worker.send(wire.REQUEST, 1, BODY)
    worker.until(wire.END)
    worker.send(wire.REQUEST, 2, {**BODY, "messages": [{"role": "user", "content": "open sesame"}]})
    kind, request, reason = worker.until(wire.FATAL)[-1]
    assert (kind, request, reason["code"]) == (wire.FATAL, 2, "template_timeout")
    assert worker.process.wait(timeout=60) == 3


def test_it_prints_nothing_into_the_frames(worker: Worker, told: dict[str, Any]) -> None:
    worker.send(wire.LOAD, 0, told)
    worker.until(wire.READY)
    for number in range(1, 4):
        worker.send(wire.REQUEST, number, BODY)
    ends = [worker.until(wire.END)[-1][1] for _ in range(3)]
    assert sorted(ends) == [1, 2, 3]


def ask(worker: Worker, task: str, told: Any) -> Any:
    """The one piece of an answer."""
    worker.send(wire.REQUEST, 1, told, task)
    pieces = [piece for kind, _, piece in worker.until(wire.END) if kind == wire.EVENT and piece]
    assert len(pieces) == 1, pieces
    return pieces[0]


def test_it_cuts_text_into_tokens_joins_them_and_renders_the_template(worker: Worker, told: dict[str, Any]) -> None:
    worker.send(wire.LOAD, 0, told)
    worker.until(wire.READY)
    tokens = ask(worker, "tokenize", {"content": "Hello wörld"})["tokens"]
    assert ask(worker, "detokenize", {"tokens": tokens}) == {"content": "Hello wörld"}
    prompt = ask(worker, "template", {"messages": BODY["messages"]})["prompt"]
    assert "<|im_start|>user\nhi<|im_end|>" in prompt
    assert ask(worker, "template", {"messages": "x"})["error"]["code"] == 400
    described = ask(worker, "describe", {})
    assert {name: described[name] for name in ("vocabulary", "width", "start")} == {
        "vocabulary": 49152,
        "width": 576,
        "start": 1,
    }
    assert "prefix token is missing" in described["fim"]
    worker.send(wire.REQUEST, 2, {}, "dance")
    assert worker.until(wire.END)[-1][2] == {"code": "unknown_task", "message": "llama.cpp has no task 'dance'"}


def test_it_completes_text(worker: Worker, told: dict[str, Any]) -> None:
    worker.send(wire.LOAD, 0, told)
    worker.until(wire.READY)
    worker.send(wire.REQUEST, 1, {"prompt": ["One two", [1, 2]], "max_tokens": 3, "stream": True}, "completion")
    pieces = [piece for kind, _, piece in worker.until(wire.END) if kind == wire.EVENT and piece]
    assert {choice["index"] for piece in pieces for choice in piece["choices"]} == {0, 1}
    assert ask(worker, "embedding", {"input": "x"})["error"]["code"] == 501, "it was not started for that"


def test_embeddings_can_be_cancelled(worker: Worker, told: dict[str, Any]) -> None:
    worker.send(wire.LOAD, 0, {**told, "pooling": "mean", "batch": 512})
    worker.until(wire.READY)
    found = ask(worker, "embedding", {"input": ["one", "two"]})
    assert [len(one["embedding"]) for one in found["data"]] == [576, 576]
    worker.send(wire.REQUEST, 2, {"input": ["word " * 400] * 200}, "embedding")
    assert worker.next() == (wire.EVENT, 2, {}), "it says while it waits that it goes on"
    worker.send(wire.CANCEL, 2)
    assert worker.until(wire.END)[-1] == (wire.END, 2, None)
    assert ask(worker, "embedding", {"input": "three"})["data"], "the cancelled request still computes"


def test_a_template_that_hangs_in_the_engines_server_ends_it(worker: Worker, told: dict[str, Any]) -> None:
    trap = (
        "{% for m in messages %}{% if 'sesame' in m['content'] %}{% for a in range(99999) %}{% for b in range(99999) %}"
        "{% set c = a * b %}{% endfor %}{% endfor %}{% endif %}{{ m['content'] }}{% endfor %}"
    )
    worker.send(wire.LOAD, 0, {**told, "chat_template": trap, "chat_template_override": trap, "template_seconds": 0.2})
    worker.until(wire.READY)
    worker.send(wire.REQUEST, 2, {"messages": [{"role": "user", "content": "open sesame"}]}, "template")
    kind, request, reason = worker.until(wire.FATAL)[-1]
    assert (kind, request, reason["code"]) == (wire.FATAL, 2, "template_timeout")
