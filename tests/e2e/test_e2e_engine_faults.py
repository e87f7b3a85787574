"""Worker processes that die, files that are broken, templates that attack: the server goes on."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.load import Load
from tests.e2e.mutants import Mutant, mutants
from tests.e2e.raw import CHAT
from tests.e2e.server import LINUX, MODEL, JanServer, add_model, is_running, until, write_config
from tests.smollm2 import GO_ON

pytestmark = [pytest.mark.faults, LINUX]

SLOTS = 2
HI: Any = [{"role": "user", "content": "hi"}]
ENDLESS: dict[str, Any] = {"model": MODEL, "messages": HI, "max_tokens": 900, **GO_ON}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    root = tmp_path_factory.mktemp("faulty") / "root"
    write_config(root, jan_llamacpp={"slots": SLOTS, "context": 1024}, jan_workers={"load_seconds": 30})
    add_model(root, MODEL, smollm2_path)
    with JanServer(root) as server:
        yield server


def answers(server: JanServer, model: str = MODEL) -> float:
    """Seconds until a request is answered."""
    began = time.monotonic()
    reply = server.client().chat.completions.create(model=model, messages=HI, max_tokens=1)
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 1
    return time.monotonic() - began


def busy(server: JanServer) -> int:
    """Slots in use, as the server says."""
    reply = httpx2.get(f"http://127.0.0.1:{server.port}/engines/models")
    return sum(model["busy"] for model in reply.json()["data"])


def test_a_worker_that_dies_costs_only_what_it_was_answering(faulty: JanServer, full_counts: bool) -> None:
    for number in [signal.SIGKILL, signal.SIGABRT] * (5 if full_counts else 1):
        answers(faulty)
        (worker,) = faulty.workers()
        client = faulty.raw()
        client.chat(**ENDLESS, stream=True)
        assert client.head()[0] == 200
        events = client.events()
        next(events)
        plain, queued = faulty.raw(), faulty.raw()
        plain.chat(**ENDLESS)
        # Both slots are taken, and the worker has had time to read the second request: what it never read is not lost.
        until(lambda: busy(faulty) == SLOTS, 60, "both slots in use")
        queued.chat(model=MODEL, messages=HI, max_tokens=1)
        for _ in range(20):
            next(events)
        os.kill(worker, number)
        told = list(events)
        error = json.loads(told[-1])["error"]
        assert (error["code"], error["type"]) == ("engine_error", "server_error")
        assert "[DONE]" not in told
        reply = plain.reply()
        assert (reply.status, reply.error()["code"]) == (503, "engine_error")
        assert queued.reply().status == 200, "what waited in the queue was lost with the worker"
        for one in (client, plain, queued):
            one.leave()
        assert not is_running(worker)
        assert len(faulty.workers()) == 1


def test_kills_under_load_cost_nothing_but_what_the_worker_was_answering(faulty: JanServer, full_counts: bool) -> None:
    chance, pause, seconds, moments = random.Random(1), threading.Event(), [], []
    answers(faulty)
    with Load(faulty, clients=6) as load:
        load.answered_after(time.monotonic())
        for _ in range(100 if full_counts else 20):
            (worker,) = faulty.workers()
            pause.wait(chance.uniform(0, 0.3))
            moments.append(time.monotonic())
            os.kill(worker, signal.SIGKILL)
            until(lambda dead=worker: set(faulty.workers()) - {dead}, 60, "a new worker")  # type: ignore[misc]
            seconds.append(load.answered_after(time.monotonic()) - moments[-1])
    assert set(load.errors()) == {"engine_error"}
    assert not load.errors(end=moments[0]), "requests were lost before anything was killed"
    lost = [len(load.errors(*between)) for between in pairwise([*moments, math.inf])]
    assert max(lost) <= SLOTS, "a kill cost more than the worker was answering"
    assert sum(lost) > len(lost) / 2, "hardly any kill hit an answer, so nothing was tried"
    assert answers(faulty) < 30
    print(
        f"\nworker killed -9 {len(lost)} times under load: next answer after {statistics.median(seconds):.2f} s "
        f"(median; at the latest {max(seconds):.2f} s); {len(load.outcomes) - sum(lost)} right answers, {sum(lost)} "
        f"lost in the killed workers, at most {max(lost)} at once; lost besides: 0"
    )


def test_the_official_client_sees_a_dead_worker_as_an_error(faulty: JanServer) -> None:
    answers(faulty)
    (worker,) = faulty.workers()
    stream = faulty.client().chat.completions.create(**ENDLESS, stream=True)
    next(iter(stream))
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(openai.APIError, match="ended unexpectedly"):
        list(stream)
    # With its own retries the client does not even notice between requests.
    os.kill(until(lambda: answers(faulty) and faulty.workers(), 60, "a new worker")[0], signal.SIGKILL)
    reply = faulty.client(retries=2).chat.completions.create(model=MODEL, messages=HI, max_tokens=1)
    assert reply.usage is not None


def test_a_broken_file_is_named_and_the_server_goes_on(
    faulty: JanServer, smollm2_path: Path, full_counts: bool
) -> None:
    folder = faulty.root / "models" / "mutant"
    folder.mkdir()
    target = folder / "mutant.gguf"
    http = faulty.http()
    found: dict[str, list[str]] = {}
    chosen = mutants(smollm2_path, 36 if full_counts else 4)
    answers(faulty)
    (good,) = faulty.workers()
    for mutant in chosen:
        write(mutant, smollm2_path, target)
        reply = http.post(CHAT, json={"model": "mutant", "messages": HI, "max_tokens": 4})
        assert reply.status_code in (200, 400, 503), f"{mutant.name}: {reply.text}"
        told = "answered"
        if reply.status_code != 200:
            error = reply.json()["error"]
            assert str(target) in error["message"], f"{mutant.name}: {error}"
            told = error["code"] or "unusable"
        found.setdefault(told, []).append(mutant.name)
        assert http.get("/health").json() == {"status": "ok"}
        assert answers(faulty) < 30
        assert good in faulty.workers(), f"{mutant.name} took the other model's worker along"
    assert len(found.get("answered", [])) < len(chosen) / 2
    counts = ", ".join(f"{len(names)} {told}" for told, names in found.items())
    print(f"\n{len(chosen)} mutants: {counts}; servers lost: 0; {found}")
    target.unlink()
    folder.rmdir()


def write(mutant: Mutant, source: Path, target: Path) -> None:
    """Put a mutant in place under the target's name, whole."""
    part = target.with_suffix(".part")
    with source.open("rb") as file, part.open("wb") as copy:
        left = mutant.length if mutant.length is not None else source.stat().st_size
        while left and (piece := file.read(min(left, 1 << 24))):
            copy.write(piece)
            left -= len(piece)
        if mutant.value:
            copy.seek(mutant.offset)
            copy.write(mutant.value)
    part.replace(target)


def test_the_workers_own_server_cannot_be_reached(faulty: JanServer) -> None:
    answers(faulty)
    for worker in faulty.workers():
        links = [os.readlink(entry) for entry in Path(f"/proc/{worker}/fd").iterdir()]
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        assert inodes, "the worker has no sockets at all: this test looks at the wrong place"
        listening = [
            line.split()
            for name in ("tcp", "tcp6", "udp", "udp6")
            for line in Path(f"/proc/{worker}/net/{name}").read_text().splitlines()[1:]
        ]
        assert not [fields for fields in listening if fields[9] in inodes], "the worker listens on the network"
        unix = [line.split() for line in Path(f"/proc/{worker}/net/unix").read_text().splitlines()[1:]]
        paths = [fields[7] for fields in unix if fields[6] in inodes and len(fields) > 7]
        assert [path for path in paths if path.endswith("engine.sock")], "the engine's socket is not where it was"
        assert not [path for path in paths if path.startswith("@") or Path(path).exists()]
