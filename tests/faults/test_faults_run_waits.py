"""Runs that wait for what never comes, on a real server: each ends in time, and keeps nobody else waiting."""

from __future__ import annotations

import json
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.common import percentile
from tests.e2e.server import JanServer, until
from tests.faults.run_askers import FUNCTION, scripted_root, text_of
from tests.faults.wire import Wire

pytestmark = pytest.mark.faults

CODE = '''
import threading

def never(number: int) -> str:
    """Never returns."""
    threading.Event().wait()

def quick(number: int) -> str:
    """Returns at once."""
    return '{"say": ["quick"]}'
'''
CALL_SECONDS = 2.0
ENDED = ("completed", "failed", "cancelled", "incomplete", "expired")


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """A connection to a server on which a call of an assistant's function may take two seconds."""
    root, site = scripted_root(tmp_path, f"[jan-code]\ncall_seconds = {CALL_SECONDS}\n", CODE)
    with JanServer(root, site=site) as server, closing(Wire(server.port)) as wire:
        yield wire


def begun(wire: Wire, script: Any, **more: Any) -> str:
    """Begin a run in a thread of its own; returns its path."""
    messages = [{"role": "user", "content": json.dumps(script)}]
    body = {"assistant_id": "jan", "model": "scripted", "thread": {"messages": messages}, **more}
    run = wire.good("POST", "/threads/runs", body)
    return f"/threads/{run['thread_id']}/runs/{run['id']}"


def ended(wire: Wire, path: str, seconds: float = 60) -> Any:
    """A run once it has ended."""
    return until(lambda: run if (run := wire.good("GET", path))["status"] in ENDED else None, seconds, f"{path} ended")


def waiting(wire: Wire, path: str) -> list[str]:
    """The calls that a run waits for."""
    until(lambda: wire.good("GET", path)["status"] == "requires_action", 60, f"{path} waits")
    run = wire.good("GET", path)
    return [one["id"] for one in run["required_action"]["submit_tool_outputs"]["tool_calls"]]


def calling(name: str, count: int = 1) -> Any:
    """A script that calls a function so often."""
    return {"call": [{"name": name, "arguments": {"number": number}} for number in range(count)]}


@pytest.mark.skipif(sys.platform == "win32", reason="the limits of code are those of POSIX")
def test_a_function_that_never_returns_costs_its_own_call(wire: Wire) -> None:
    path = begun(wire, calling("never"))
    until(lambda: wire.all(f"{path}/steps"), 60, "the call")
    began = time.monotonic()
    assert ended(wire, begun(wire, {"say": ["another"]}))["status"] == "completed"
    beside = time.monotonic() - began
    run = ended(wire, path)
    assert run["status"] == "completed", run  # the model was told, and answered
    (call,) = wire.all(f"{path}/steps")[0]["step_details"]["tool_calls"]
    assert call["function"]["output"].startswith("error: "), call
    # Cancelled in the middle of the call, it ends at once, and the next call works.
    path = begun(wire, calling("never"))
    until(lambda: wire.all(f"{path}/steps"), 60, "the call")
    began = time.monotonic()
    wire.good("POST", f"{path}/cancel", {})
    assert ended(wire, path)["status"] == "cancelled"
    cancelled = time.monotonic() - began
    assert cancelled < CALL_SECONDS
    path = begun(wire, calling("quick"))
    assert ended(wire, path)["status"] == "completed"
    thread = path.split("/")[2]
    assert [text_of(one) for one in wire.all(f"/threads/{thread}/messages")][1:] == ["quick"]
    print(
        f"\na function that never returns: told to the model after {CALL_SECONDS:g} s; another run beside it took "
        f"{1000 * beside:.0f} ms; cancelled, its run ended after {1000 * cancelled:.0f} ms"
    )


def test_outputs_that_nobody_waits_for_are_refused(wire: Wire) -> None:
    path = begun(wire, calling("f", 2), tools=[FUNCTION])
    one, two = waiting(wire, path)

    def give(*given: str, to: str = path) -> tuple[int, Any]:
        outputs = [{"tool_call_id": call, "output": '{"say": ["done"]}'} for call in given]
        return wire.ask("POST", f"{to}/submit_tool_outputs", {"tool_outputs": outputs})

    before = wire.good("GET", path)
    for given in ((), (one,), (one, "call_unknown"), (one, two, "call_unknown"), (one, one), (one, two, two)):
        status, reply = give(*given)
        assert (status, reply["error"]["type"]) == (400, "invalid_request_error"), (given, reply)
        assert wire.good("GET", path) == before, "what was refused changed the run"
    assert give(two, one)[0] == 200
    assert ended(wire, path)["status"] == "completed"
    status, reply = give(one, "call_unknown")
    assert (status, reply["error"]["param"] is not None) == (400, True), reply
    other = begun(wire, {"say": ["no calls"]}, tools=[FUNCTION])
    ended(wire, other)
    assert give(one, to=other)[0] == 400
    calls = wire.all(f"{path}/steps")[0]["step_details"]["tool_calls"]
    assert [call["function"]["output"] for call in calls] == ['{"say": ["done"]}'] * 2


def test_what_waits_too_long_expires_also_while_no_server_runs(tmp_path: Path) -> None:
    root, site = scripted_root(tmp_path, "[runs-json]\nexpires_seconds = 3\n")
    with JanServer(root, site=site) as server, closing(Wire(server.port)) as wire:
        here = begun(wire, calling("f"), tools=[FUNCTION])
        waiting(wire, here)
        run = ended(wire, here, 20)
        assert run["status"] == "expired", run
        late = time.time() - run["created_at"] - 3
        assert wire.ask("POST", f"{here}/submit_tool_outputs", {"tool_outputs": []})[0] == 400
        killed = begun(wire, calling("f"), tools=[FUNCTION])
        waiting(wire, killed)
        server.stop(signal.SIGKILL)
    began = time.monotonic()
    until(lambda: time.monotonic() - began > 3, 10, "its time is over")
    with JanServer(root, site=site) as server, closing(Wire(server.port)) as wire:
        began = time.monotonic()
        assert ended(wire, killed, 20)["status"] == "expired"
        taken = time.monotonic() - began
        for path in (here, killed):
            thread = path.split("/")[2]
            again = {"assistant_id": "jan", "model": "scripted", "tool_choice": "none", "tools": [FUNCTION]}
            run = wire.good("POST", f"/threads/{thread}/runs", again)
            assert ended(wire, f"/threads/{thread}/runs/{run['id']}")["status"] == "completed"
    print(f"\nexpired {late:.1f} s after its time; one that expired while no server ran, {taken:.1f} s after the start")


def test_runs_cancelled_at_random_moments_end_so(wire: Wire, full_counts: bool) -> None:
    wanted, chance = 1000 if full_counts else 60, random.Random(13)
    scripts: tuple[Any, ...] = (
        {"say": ["a ", "b ", "c "], "rate": 40},
        {"say": ["a ", "b "], "hang": True},
        {"say": ["look. "], **calling("f")},
        {"say": ["look. "], **calling("quick"), "rate": 100},
        calling("never"),
    )
    ends, seconds = dict[str, int](), []
    for number in range(wanted):
        path = begun(wire, chance.choice(scripts), tools=[FUNCTION])
        moment, began = chance.uniform(0, 0.15), time.monotonic()
        while time.monotonic() - began < moment:
            wire.good("GET", path)
        began = time.monotonic()
        status, reply = wire.ask("POST", f"{path}/cancel", {})
        assert status == 200 or reply["error"]["code"] == "run_ended", reply
        run = ended(wire, path, 20)
        ends[run["status"]] = ends.get(run["status"], 0) + 1
        assert run["status"] == "cancelled" if status == 200 else run["status"] == "completed", (number, run)
        if status == 200:
            seconds.append(time.monotonic() - began)
        thread = path.split("/")[2]
        steps = wire.all(f"{path}/steps")
        said = [one for one in wire.all(f"/threads/{thread}/messages") if one["role"] == "assistant"]
        made = [one["step_details"]["message_creation"]["message_id"] for one in steps if "creation" in one["type"]]
        assert [one["id"] for one in said] == made, (steps, said)
        assert not [one for one in (*steps, *said) if one["status"] == "in_progress"]
    ms = sorted(1000 * one for one in seconds)
    assert len(ms) > wanted / 2
    print(
        f"\n{wanted} runs of {len(scripts)} kinds, cancelled at random moments: {ends}; ended after "
        f"{statistics.median(ms):.0f} ms (median; p95 {percentile(ms, 95):.0f}, worst {ms[-1]:.0f})"
    )
