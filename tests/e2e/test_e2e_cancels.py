"""Clients that leave at random moments, in every kind of request: nothing hangs, no slot is lost, no worker dies.

Each round sends one to five requests and leaves them, all at moments of chance: while they wait in the queue, while the
model loads, while their prompts are read, while they are answered. Then a request that needs all slots is sent. It is
answered when every slot is free again, which is what is measured, less what such a request takes at other times.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.benchmarks.common import percentile
from tests.e2e.raw import CHAT, Raw
from tests.e2e.server import LINUX, MODEL, JanServer, add_model, until, write_config
from tests.smollm2 import GO_ON

pytestmark = [pytest.mark.faults, LINUX]

SLOTS = 2
BATCH = 24
"""Tokens of a prompt that are read in one go, which nothing interrupts; Jan's default."""
DECODING, READING = 200, 500
"""Milliseconds until a slot is free, promised for a machine with nothing else to do."""
BARE = "{{ messages[-1]['content'] }}"
"""A chat template that adds nothing, so that a short request is short."""


class Sent(NamedTuple):
    """A request of a round: when it is sent and left (seconds of the round), and what it asks."""

    send: float
    leave: float
    body: dict[str, Any]
    long: bool


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    root = tmp_path_factory.mktemp("left") / "root"
    write_config(root, jan_llamacpp={"slots": SLOTS, "context": 4096, "batch": BATCH, "prompt_cache_mib": 0})
    add_model(root, MODEL, smollm2_path, settings={"chat_template": BARE})
    with JanServer(root) as server:
        yield server


def body(text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "max_tokens": 900, **GO_ON, **more}


def made(chance: random.Random, number: int, long_ones: float) -> Sent:
    """A request at random; this share of them has a long prompt."""
    send, long = chance.uniform(0, 0.15), chance.random() < long_ones
    # No two prompts are alike, so that none is found read already.
    text = f"{number} " + "every word of this has to be read " * (200 if long else 0)
    kind = {"stream": chance.random() < 0.5, "n": chance.choice([1, 1, 1, 2, 3])}
    return Sent(send, send + chance.uniform(0, 0.45), body(text, **kind), long)


def played(server: JanServer, round_: list[Sent]) -> float:
    """Send and leave the requests of a round at their moments; returns when the last one was left (monotonic)."""
    moments = sorted(
        [(one.send, number, "send") for number, one in enumerate(round_)]
        + [(one.leave, number, "leave") for number, one in enumerate(round_)]
    )
    clients: dict[int, Raw] = {}
    pause, began, last = threading.Event(), time.monotonic(), 0.0
    for moment, number, what in moments:
        pause.wait(max(0.0, began + moment - time.monotonic()))
        if what == "send":
            clients[number] = server.raw()
            clients[number].chat(**round_[number].body)
        else:
            clients[number].leave()
            last = time.monotonic()
    return last


def all_slots(server: JanServer, number: int) -> float:
    """Have a request answered that needs every slot; returns when it was (monotonic)."""
    with server.raw() as client:
        client.chat(**body(f"{number}", n=SLOTS) | {"max_tokens": 1})
        reply = client.reply()
    assert reply.status == 200, reply.body
    assert reply.json()["usage"]["completion_tokens"] == SLOTS
    return time.monotonic()


def batch_ms(server: JanServer, number: int) -> float:
    """What reading one batch of a prompt takes on this machine at this time."""
    began = time.monotonic()
    reply = server.http().post(CHAT, json=body(f"{number} " + "word " * (BATCH * 2 - 10)) | {"max_tokens": 1})
    assert 1.5 * BATCH < reply.json()["usage"]["prompt_tokens"] <= 2 * BATCH
    return (time.monotonic() - began) * 1000 / 2


def test_clients_leave_at_random_moments(left: JanServer, full_counts: bool) -> None:
    wanted, chance = 1000 if full_counts else 60, random.Random(7)
    all_slots(left, 0)
    (worker,) = left.workers()
    usual, batch, loads, cancels, number = [], [], 0, 0, 0
    free: dict[bool, list[float]] = {True: [], False: []}
    while cancels < wanted:
        number += 1
        reading = chance.choice([0.0, 0.6])
        round_ = [made(chance, number * 10 + each, reading) for each in range(chance.randint(1, 5))]
        if loading := number % 10 == 1:
            os.kill(worker, signal.SIGKILL)
            # Until its parent has taken note, the next request is handed to it and ends with it.
            until(lambda gone=worker: not Path(f"/proc/{gone}").exists(), 60, "the server took note")  # type: ignore[misc]
            loads += 1
        over = played(left, round_)
        answered = all_slots(left, number)
        cancels += len(round_)
        if loading:
            (worker,) = left.workers()
        else:
            free[any(one.long for one in round_)].append((answered - over) * 1000)
        assert left.workers() == [worker], f"round {number} cost the worker: {round_}"
        if number % 5 == 1:
            began = time.monotonic()
            usual.append((all_slots(left, -number) - began) * 1000)
            batch.append(batch_ms(left, number))
    left.lines_with(cancels, status=499)
    own, slow = statistics.median(usual), statistics.median(batch)
    print(f"\n{cancels} clients left in {number} rounds, {loads} of them while the model loaded; workers lost: 0")
    for long, promised, what in ((False, DECODING, "decoding"), (True, READING, "reading a prompt")):
        ms = sorted(max(0.0, one - own) for one in free[long])
        median, p95 = statistics.median(ms), percentile(ms, 95)
        print(
            f"{what}: all slots free after {median:.0f} ms (median of {len(ms)}; p95 {p95:.0f}, worst {ms[-1]:.0f}; "
            f"promised {promised} where a batch takes 250 ms or less, here it took {slow:.0f})"
        )
        # A batch is what cannot be interrupted: the one under way, and the one begun while its end was told.
        assert median <= max(promised, 3 * slow), what
        assert ms[-1] <= 10 * max(promised, 3 * slow), what
