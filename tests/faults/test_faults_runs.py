"""A real server that carries runs on, killed: every acknowledged run ends, and nothing is said or made twice."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.server import JanServer, until
from tests.faults.conversation import check_files
from tests.faults.run_askers import KINDS, Asker, Stream, scripted_root, words
from tests.faults.wire import Gone, Wire

pytestmark = pytest.mark.faults


def carried_on(server: JanServer, askers: list[Asker], seconds: float) -> list[BaseException]:
    """Let all of them ask until the server is killed, after so many seconds; what they complain of."""
    wrong: list[BaseException] = []
    begun, pause = threading.Barrier(len(askers) + 1), threading.Event()

    def ask(asker: Asker) -> None:
        wire = Stream(server.port)
        begun.wait()
        try:
            while True:
                asker.work(wire)
        except Gone:
            pass
        except BaseException as error:
            wrong.append(error)
        finally:
            wire.close()

    threads = [threading.Thread(target=ask, args=(asker,)) for asker in askers]
    for one in threads:
        one.start()
    begun.wait()
    pause.wait(seconds)
    server.stop(signal.SIGKILL)
    for one in threads:
        one.join(120)
        assert not one.is_alive()
    return wrong


def test_a_server_that_is_killed_while_runs_go_on_leaves_none_stuck(tmp_path: Path, full_counts: bool) -> None:
    chance, kills = random.Random(9), 200 if full_counts else 20
    root, site = scripted_root(tmp_path)
    with JanServer(root, site=site) as server, closing(Wire(server.port)) as wire:
        askers = [Asker(kind, wire.good("POST", "/threads", {})["id"]) for kind in KINDS]
    left = 0
    for _ in range(kills):
        with JanServer(root, site=site) as server:
            left += seen_to_the_end(server.port, askers)
            wrong = carried_on(server, askers, chance.uniform(0.02, 0.4))
            assert not wrong, wrong
    with JanServer(root, site=site) as server:
        left += seen_to_the_end(server.port, askers)
        with closing(Wire(server.port)) as wire:
            failed = sum(asker.check(wire, all_steps=True) for asker in askers)
        check_files(root)
    ended = sum(len(one.runs) for one in askers)
    assert left > kills, "hardly a run was going on, so nothing was tried"
    print(
        f"\n{len(askers)} clients, killed -9 {kills} times: {ended} runs acknowledged, {left} of them left in the "
        f"middle, {failed} failed because somebody had heard a part; 0 stuck, 0 lost, 0 doubled"
    )


def seen_to_the_end(port: int, askers: list[Asker]) -> int:
    """See to it that every run ends, and look at all of them; returns how many had not when the server was killed."""
    left = 0
    with closing(Stream(port)) as wire:
        for asker in askers:
            if asker.said:
                ids = [asker.runs[number] for number in asker.runs]
                before = [wire.good("GET", f"{asker.path}/{one}") for one in ids[-1:]]
                left += len([one for one in before if one["status"] in ("queued", "in_progress", "requires_action")])
                left += len(asker.said) > len(ids)
                asker.go_on(wire)
            asker.check(wire)
    return left


def test_a_server_takes_up_the_runs_of_one_that_died_beside_it(tmp_path: Path) -> None:
    root, site = scripted_root(tmp_path)
    with JanServer(root, site=site) as first, JanServer(root, site=site) as second:
        wire, other = Wire(first.port), Wire(second.port)
        made: list[tuple[str, str]] = []
        for number in range(4):
            thread = wire.good("POST", "/threads", {})["id"]
            script = json.dumps({"say": words(number, 40), "rate": 40})
            body = {
                "assistant_id": "jan",
                "model": "scripted",
                "additional_messages": [{"role": "user", "content": script}],
            }
            made.append((thread, wire.good("POST", f"/threads/{thread}/runs", body)["id"]))
        # What goes on there is seen, and can be cancelled, here.
        thread, run = made.pop()
        assert other.ask("POST", f"/threads/{thread}/messages", {"role": "user", "content": "no"})[0] == 400
        assert other.good("POST", f"/threads/{thread}/runs/{run}/cancel", {})["status"] == "cancelling"
        began = time.monotonic()
        until(lambda: other.good("GET", f"/threads/{thread}/runs/{run}")["status"] == "cancelled", 30, "the cancel")
        cancelled = time.monotonic() - began
        first.stop(signal.SIGKILL)
        began = time.monotonic()
        for number, (thread, run) in enumerate(made):
            path = f"/threads/{thread}/runs/{run}"
            until(lambda path=path: other.good("GET", path)["status"] == "completed", 60, "the run's end")  # type: ignore[misc]
            assert other.texts(thread)[1:] == ["".join(words(number, 40))]
            assert len(other.all(f"{path}/steps")) == 1
        print(
            f"\ncancelled from the other process in {1000 * cancelled:.0f} ms; 3 runs of a killed process completed by "
            f"the other in {time.monotonic() - began:.1f} s"
        )
        wire.close()
        other.close()
