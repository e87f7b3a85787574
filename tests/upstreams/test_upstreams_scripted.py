"""The scripted upstream does what it is told: tests that rely on a fault rely on its being one."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import pytest

from tests.benchmarks.client import post
from tests.upstreams.faults import BEFORE, WITHIN
from tests.upstreams.process import Scripted


@pytest.fixture(scope="module")
def upstream() -> Iterator[Scripted]:
    with Scripted() as found:
        yield found


@pytest.fixture(autouse=True)
def _calm(upstream: Scripted) -> None:
    upstream.calm()


def body(script: Any, **more: Any) -> dict[str, Any]:
    text = script if isinstance(script, str) else json.dumps(script)
    return {"model": "scripted", "messages": [{"role": "user", "content": text}], **more}


def bytes_of(
    upstream: Scripted, told: dict[str, Any], most: int = 1_000_000, seconds: float = 0.5
) -> tuple[bytes, bool]:
    """What comes for a request, so much of it at most, and whether the connection was ended."""
    found = b""
    with closing(socket.create_connection(("127.0.0.1", upstream.port), timeout=seconds)) as sock:
        sock.sendall(post("/v1/chat/completions", told))
        try:
            while len(found) < most:
                some = sock.recv(1 << 16)
                if not some:
                    return found, True
                found += some
        except TimeoutError:
            return found, False
        except ConnectionResetError:
            return found, True
    return found, False


def test_answers(upstream: Scripted) -> None:
    with httpx2.Client(base_url=upstream.url, trust_env=False) as http:
        assert [one["id"] for one in http.get("models").json()["data"]] == ["scripted"]
        made = http.post("chat/completions", json=body("one two three", max_tokens=2)).json()
        assert made["choices"][0] == {
            "index": 0,
            "finish_reason": "length",
            "message": {"role": "assistant", "content": "one two "},
        }
        text = http.post("chat/completions", json=body({"say": ["a", "b"]}, stream=True)).text
        assert text.count("data: ") == 5
        assert text.endswith("data: [DONE]\n\n")
        made = http.post("completions", json={"model": "scripted", "prompt": ["a b", "c"]}).json()
        assert [one["text"] for one in made["choices"]] == ["a b ", "c "]
        assert http.post("embeddings", json={"model": "scripted", "input": "a"}).json()["usage"]["total_tokens"] == 1
        assert http.post("chat/completions", json=body("a", model="none")).status_code == 404
        upstream.control(key="secret", form={"omit": ["usage"], "extra": {"more": 1}}, models=["other"])
        assert http.get("models").status_code == 401
        made = http.get("models", headers={"authorization": "Bearer secret"})
        assert [one["id"] for one in made.json()["data"]] == ["other"]


def test_the_rate_is_kept(upstream: Scripted) -> None:
    began = time.monotonic()
    httpx2.post(upstream.url + "/chat/completions", json=body({"say": ["a"] * 11, "rate": 50}, stream=True)).read()
    assert 0.2 <= time.monotonic() - began < 2


@pytest.mark.parametrize("kind", sorted({*BEFORE} - {"leave", "status"}))
def test_faults_instead_of_an_answer(upstream: Scripted, kind: str) -> None:
    upstream.fault(kind, times=1)
    came, ended = bytes_of(upstream, body("one"))
    assert (ended, len(came) > 500_000) == {
        "hang": (False, False),
        "endless-head": (False, True),
        "endless-body": (False, True),
        "html": (False, False),
        "no-json": (False, False),
        "other-json": (False, False),
    }.get(kind, (True, False))
    assert bool(came) == (kind not in ("hang", "reset", "close"))
    came, _ = bytes_of(upstream, body("one"))
    assert b'"content": "one "' in came


def test_statuses_and_redirects(upstream: Scripted) -> None:
    upstream.fault("status", status=429, headers={"retry-after": "3"})
    came, _ = bytes_of(upstream, body("one"))
    assert came.startswith(b"HTTP/1.1 429 ")
    assert b"retry-after: 3\r\n" in came
    assert httpx2.get(upstream.url + "/models").status_code == 200
    upstream.fault("status", everywhere=True)
    assert httpx2.get(upstream.url + "/models").status_code == 500


@pytest.mark.parametrize("kind", sorted(WITHIN))
def test_faults_within_a_stream(upstream: Scripted, kind: str) -> None:
    script = {
        "say": ["a", "b"],
        "fault": {"kind": kind, "after": 2, "body": ["data: x\n\n"] if kind == "raw" else None},
    }
    came, ended = bytes_of(upstream, body(script, stream=True))
    assert b'"content":"a"' in came
    assert b'"content":"b"' not in came
    assert b"[DONE]" not in came
    assert ended == (kind in ("die", "half-event-cut"))
    assert came.endswith(b"0\r\n\r\n") == (kind in ("end-early", "half-event", "error-event", "raw"))
    upstream.until(lambda told: told["open"] == 0)
    came, ended = bytes_of(upstream, body(script))
    assert (b"HTTP/1.1 200" in came, b"}]}" in came) == (True, False), "a plain answer is cut"


def test_it_comes_back_on_its_port() -> None:
    with Scripted(models=["kept"]) as upstream:
        port = upstream.port
        upstream.fault("leave")
        assert bytes_of(upstream, body("a")) == (b"", True)
        upstream.kill()
        upstream.start()
        assert upstream.port == port
        assert httpx2.get(upstream.url + "/models").json()["data"][0]["id"] == "kept"
