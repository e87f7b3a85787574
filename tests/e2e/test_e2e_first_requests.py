"""Two hundred clients ask a model that is not loaded, all at once: it is loaded once, and everybody is answered."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.e2e.load import FIRST_TOKEN, body
from tests.e2e.server import LINUX, MODEL, JanServer, add_model, write_config

pytestmark = [pytest.mark.faults, LINUX]

CLIENTS = 200


def test_two_hundred_first_requests_load_a_model_once(tmp_path: Path, smollm2_path: Path) -> None:
    write_config(tmp_path, jan_llamacpp={"slots": 4}, jan_workers={"queue": CLIENTS})
    add_model(tmp_path, MODEL, smollm2_path)
    with JanServer(tmp_path) as server:
        seen: set[int] = set()
        over, pause = threading.Event(), threading.Event()

        def watch() -> None:
            while not over.is_set():
                seen.update(server.workers())
                pause.wait(0.01)

        watching = threading.Thread(target=watch)
        watching.start()
        clients = [server.raw() for _ in range(CLIENTS)]
        began = time.monotonic()
        for number, client in enumerate(clients):
            client.chat(**body(FIRST_TOKEN + number % 7, 1))
        replies = [client.reply() for client in clients]
        seconds = time.monotonic() - began
        over.set()
        watching.join()
    assert [reply.status for reply in replies] == [200] * CLIENTS
    texts = [reply.json()["choices"][0]["message"]["content"] for reply in replies]
    assert texts == (texts[:7] * CLIENTS)[:CLIENTS]
    assert len(set(texts)) == 7, "answers were mixed up"
    assert len(seen) == 1, f"the model was loaded in the processes {seen}"
    print(f"\n{CLIENTS} first requests at once: 1 worker process, all answered after {seconds:.1f} s")
