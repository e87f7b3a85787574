"""Models that do not fit into the memory there is for them: told so, or taking turns, while everything else goes on."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.load import FIRST_TOKEN, body, plain
from tests.e2e.raw import CHAT
from tests.e2e.server import LINUX, MODEL, JanServer, add_model, write_config

pytestmark = [pytest.mark.faults, LINUX]

HI: Any = [{"role": "user", "content": "hi"}]
MEMORY = 300
"""MiB for all models: one of the real model fits, two do not."""
TWINS = ["left", "right"]


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Iterator[JanServer]:
    root = tmp_path_factory.mktemp("tight") / "root"
    engine = {"slots": 2, "context": 512, "prompt_cache_mib": 0}
    write_config(root, jan_llamacpp=engine, jan_workers={"memory_mib": MEMORY})
    for name in (MODEL, *TWINS):
        add_model(root, name, smollm2_path)
    add_model(root, "huge", smollm2_path, settings={"ctx_len": 8192, "n_parallel": 64})
    with JanServer(root) as server:
        yield server


def test_a_model_that_does_not_fit_is_refused_and_costs_nobody_anything(tight: JanServer) -> None:
    http = tight.http()
    assert http.post(CHAT, json={"model": MODEL, "messages": HI, "max_tokens": 1}).status_code == 200
    workers = tight.workers()
    for stream in (False, True):
        reply = http.post(CHAT, json={"model": "huge", "messages": HI, "max_tokens": 1, "stream": stream})
        assert reply.status_code == 400, reply.text
        error = reply.json()["error"]
        assert (error["code"], error["param"]) == ("model_too_large", "model")
        assert "huge" in error["message"]
        assert str(MEMORY) in error["message"]
    assert tight.workers() == workers, "a model in use was unloaded for one that can never fit"
    assert http.post(CHAT, json={"model": MODEL, "messages": HI, "max_tokens": 1}).status_code == 200


def test_models_that_do_not_fit_together_take_turns(tight: JanServer, full_counts: bool) -> None:
    most, over, pause = 0, threading.Event(), threading.Event()
    answers: list[tuple[str, str | None]] = []

    def watch() -> None:
        nonlocal most
        while not over.is_set():
            most = max(most, len(tight.workers()))
            pause.wait(0.02)

    def ask(number: int) -> None:
        chance = random.Random(number)
        for _ in range(25 if full_counts else 2):
            with tight.raw() as client:
                client.chat(**body(FIRST_TOKEN, 2) | {"model": chance.choice(TWINS)})
                answers.append(plain(client))

    watching = threading.Thread(target=watch)
    watching.start()
    clients = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(300)
    over.set()
    watching.join()
    assert len(answers) == 4 * (25 if full_counts else 2), "a request hangs"
    assert {error for _, error in answers} == {None}
    assert len({text for text, _ in answers}) == 1
    assert most == 1, "the next model was begun before the last one had gone"
    print(f"\n{len(answers)} requests to two models of which one fits: all answered, never two processes at once")
