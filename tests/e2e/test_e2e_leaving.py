"""A client that goes away stops its work: while it is answered, before the first token, while queued, in any request.

The server has one slot and no queue, so a request is answered 429 for as long as the slot is taken. What the worker
computes is read from its CPU clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.raw import CHAT, Raw
from tests.e2e.server import LINUX, MODEL, JanServer, add_model, cpu_seconds, until, until_idle, write_config
from tests.smollm2 import GO_ON

pytestmark = [pytest.mark.faults, LINUX]

HI = [{"role": "user", "content": "hi"}]
ENDLESS: dict[str, Any] = {"model": MODEL, "messages": HI, "max_tokens": 4000, **GO_ON}
LONG: dict[str, Any] = {"model": MODEL, "max_tokens": 1}
DECODING, READING = 200, 500
"""Milliseconds until a slot is free on a quiet machine."""
BUSY, SHARED = 5, 15
"""How many times as much a busy machine gets: where these tests run alone, and where others run beside them."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    root = tmp_path_factory.mktemp("narrow") / "root"
    write_config(root, jan_llamacpp={"slots": 1, "context": 8192, "prompt_cache_mib": 0}, jan_workers={"queue": 0})
    add_model(root, MODEL, smollm2_path)
    with JanServer(root) as server:
        assert ask(server.http()).status_code == 200
        yield server


def ask(http: httpx2.Client) -> httpx2.Response:
    return http.post(CHAT, json={"model": MODEL, "messages": HI, "max_tokens": 1})


def prompt(number: int) -> list[dict[str, str]]:
    """A long prompt that no cache knows; reading it takes ten seconds and more."""
    return [{"role": "user", "content": f"Number {number}: " + "every word of this has to be read " * 1000}]


def ms_until_free(server: JanServer, http: httpx2.Client, worker: int) -> tuple[float, float]:
    """Milliseconds until a request is taken again, and until the worker computes nothing; from now."""
    left = time.monotonic()
    taken = 0.0

    def free() -> bool:
        nonlocal taken
        taken = time.monotonic()
        response = ask(http)
        assert response.status_code in (200, 429), response.text
        return response.status_code == 200

    until(free, 60, "the slot is free")
    answered = time.monotonic()
    idle = until_idle(worker, 60)
    assert server.workers() == [worker]
    return (taken - left) * 1000, (idle - answered) * 1000


def leave(server: JanServer, http: httpx2.Client, body: dict[str, Any], when: str, bound: float) -> float:
    """Begin a request, leave it, and measure."""
    (worker,) = server.workers()
    before = len([line for line in server.log if line["status"] == 499])
    client = server.raw()
    began = cpu_seconds(worker)
    client.chat(**body)
    if when == "streaming":
        assert client.head()[0] == 200
        events = client.events()
        for _ in range(5):
            next(events)
    else:
        until(lambda: cpu_seconds(worker) - began > 0.1, 30, "the worker computes")
    assert ask(http).status_code == 429, "the request was over before its client left"
    client.leave()
    free, idle = ms_until_free(server, http, worker)
    server.lines_with(before + 1, status=499)
    assert free <= bound
    assert idle <= bound, "tokens were made for nobody"
    return free


@pytest.mark.parametrize("when", ["streaming", "plain", "reading", "reading a plain request's prompt"])
def test_a_client_that_leaves_frees_its_slot(narrow: JanServer, when: str, full_counts: bool) -> None:
    http, times = narrow.http(), []
    bound = READING if "reading" in when else DECODING
    for number in range(20 if full_counts else 2):
        body = {**LONG, "messages": prompt(number)} if "reading" in when else dict(ENDLESS)
        body["stream"] = when in ("streaming", "reading")
        times.append(leave(narrow, http, body, when, bound * (BUSY if full_counts else SHARED)))
    print(
        f"\nclient left ({when}): slot free after {statistics.median(times):.0f} ms (median of {len(times)}, "
        f"worst {max(times):.0f}; promised {bound})"
    )


def test_a_client_that_half_closes_its_connection_has_left(narrow: JanServer, full_counts: bool) -> None:
    (worker,) = narrow.workers()
    client = narrow.raw()
    client.chat(**ENDLESS, stream=True)
    assert client.head()[0] == 200
    next(client.events())
    client.sock.shutdown(1)
    free, _ = ms_until_free(narrow, narrow.http(), worker)
    client.leave()
    assert free <= DECODING * (BUSY if full_counts else SHARED)


def test_a_client_that_leaves_the_queue_leaves_its_place(tmp_path: Path, smollm2_path: Path) -> None:
    write_config(tmp_path, jan_llamacpp={"slots": 1}, jan_workers={"queue": 1})
    add_model(tmp_path, MODEL, smollm2_path)
    with JanServer(tmp_path) as server:
        http = server.http()
        assert ask(http).status_code == 200
        running = server.raw()
        running.chat(**ENDLESS, stream=True)
        assert running.head()[0] == 200
        for stream in (True, False):
            queued = queue_up(server, http, stream)
            queued.leave()
            server.lines_with(1 + (not stream), status=499)
        following = queue_up(server, http, False)
        running.leave()
        reply = following.reply()
        following.leave()
        assert reply.status == 200
        assert reply.json()["usage"]["completion_tokens"] == 1


def queue_up(server: JanServer, http: httpx2.Client, stream: bool) -> Raw:
    """A request in the queue's only place: known to be there because the next one is refused."""
    client = server.raw()
    client.chat(model=MODEL, messages=HI, max_tokens=1, stream=stream)
    refused = server.raw()
    refused.chat(model=MODEL, messages=HI, max_tokens=1)
    reply = refused.reply()
    refused.leave()
    assert reply.status == 429
    assert int(reply.headers["retry-after"]) >= 1
    return client
