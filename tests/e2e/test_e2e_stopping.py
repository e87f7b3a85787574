"""The server is told to stop, or is killed: what its clients see, and what is left of it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.server import LINUX, MODEL, JanServer, add_model, cpu_seconds, is_running, until, write_config
from tests.smollm2 import GO_ON

pytestmark = [pytest.mark.faults, LINUX]

GRACE = 10.0
"""Seconds: much longer than an end without waiting takes on a busy machine, much shorter than an answer."""
HI: Any = [{"role": "user", "content": "hi"}]
ENDLESS: dict[str, Any] = {"model": MODEL, "messages": HI, "max_tokens": 4000, **GO_ON}


@pytest.fixture
def server_root(tmp_path: Path, smollm2_path: Path) -> Path:
    engine = {"slots": 2, "context": 4096, "prompt_cache_mib": 0}
    write_config(tmp_path, server={"grace_seconds": GRACE}, jan_llamacpp=engine)
    add_model(tmp_path, MODEL, smollm2_path)
    return tmp_path


def warm(server: JanServer) -> int:
    """Have the model loaded; returns the worker's process id."""
    server.client().chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
    (worker,) = server.workers()
    return worker


def ended(server: JanServer, began: float, workers: list[int]) -> float:
    """Wait for the server's end; it must be a good one and leave nothing behind."""
    assert server.process.wait(timeout=GRACE + 20) == 0
    seconds = time.monotonic() - began
    assert not [pid for pid in workers if is_running(pid)], "a worker outlived its server"
    assert seconds < GRACE, "it waited for requests instead of ending them"
    return seconds


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_streams_with_an_error_event_and_plain_requests_with_503(
    server_root: Path, number: signal.Signals
) -> None:
    with JanServer(server_root) as server:
        worker = warm(server)
        stream, plain, queued = server.raw(), server.raw(), server.raw()
        stream.chat(**ENDLESS, stream=True)
        assert stream.head()[0] == 200
        events = stream.events()
        next(events)
        plain.chat(**ENDLESS)
        until(lambda: cpu_seconds(worker) > 0, 60, "the worker computes")
        queued.chat(**ENDLESS, stream=True)
        next(events)
        began = time.monotonic()
        server.stop(number)
        told = list(events)
        assert json.loads(told[-1])["error"]["code"] == "stopping"
        assert "[DONE]" not in told
        for waiting in (plain, queued):
            status, headers = waiting.head()
            assert status in (200, 503)
            if status == 503:
                assert "retry-after" in headers
            else:
                assert json.loads(list(waiting.events())[-1])["error"]["code"] == "stopping"
        seconds = ended(server, began, [worker])
        print(f"\n{number.name}: ended after {seconds:.2f} s (grace {GRACE:g}), workers left: 0")


def test_the_official_client_sees_the_stop_as_an_error(server_root: Path) -> None:
    with JanServer(server_root) as server:
        stream = server.client().chat.completions.create(**ENDLESS, stream=True)
        next(iter(stream))
        began = time.monotonic()
        server.stop()
        with pytest.raises(openai.APIError, match="stopping") as error:
            list(stream)
        assert error.value.code == "stopping"
        ended(server, began, [])


def test_a_stop_while_a_model_loads(server_root: Path) -> None:
    with JanServer(server_root) as server:
        client = server.raw()
        client.chat(**ENDLESS)
        workers = until(server.workers, 60, "a worker has started")
        began = time.monotonic()
        server.stop()
        ended(server, began, workers)
        reply = client.reply()
        assert (reply.status, reply.error()["code"]) == (503, "stopping")


def test_a_stop_with_nothing_under_way(server_root: Path) -> None:
    with JanServer(server_root) as server:
        worker = warm(server)
        idle = server.raw()
        idle.ask("GET", "/health")
        assert idle.reply().status == 200
        began = time.monotonic()
        server.stop()
        ended(server, began, [worker])


def test_workers_end_with_a_server_that_was_killed(server_root: Path, full_counts: bool) -> None:
    times = []
    for _ in range(5 if full_counts else 1):
        server = JanServer(server_root)
        worker = warm(server)
        client = server.raw()
        client.chat(**ENDLESS, stream=True)
        assert client.head()[0] == 200
        began = time.monotonic()
        server.process.kill()
        server.process.wait(timeout=30)
        until(lambda pid=worker: not is_running(pid), 30, "the worker has ended")  # type: ignore[misc]
        times.append(time.monotonic() - began)
        client.leave()
        server.close()
    print(f"\nserver killed: its worker had gone after {max(times):.2f} s at the latest ({len(times)} kills)")


def test_asked_twice_it_leaves_at_once_and_without_a_traceback(server_root: Path) -> None:
    with JanServer(server_root) as server:
        worker = warm(server)
        stream = server.raw()
        stream.chat(**ENDLESS, stream=True)
        assert stream.head()[0] == 200
        server.stop(signal.SIGTERM)
        server.stop(signal.SIGTERM)
        assert server.process.wait(timeout=GRACE + 20) == 0
        until(lambda: not is_running(worker), 30, "the worker ends with its server")
        assert not [line for line in server.stderr if "Traceback" in line]
