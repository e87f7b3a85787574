"""Upstreams that fail in every way: a right answer from another one, or a clear error; never half of one as a whole."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.raw import CHAT
from tests.e2e.server import LINUX, JanServer, until
from tests.e2e.upstreams import MODEL, jan_before, resident, said, script
from tests.faults.upstream_askers import SECONDS, WHOLE, WORDS, ask
from tests.upstreams import front
from tests.upstreams.process import Scripted

pytestmark = [pytest.mark.faults, LINUX]

EMPTY: list[dict[str, Any]] = [
    {"kind": "hang"},
    {"kind": "reset"},
    {"kind": "close"},
    {"kind": "no-http"},
    {"kind": "half-head"},
    {"kind": "endless-head"},
    {"kind": "html"},
    {"kind": "status", "status": 429, "headers": {"retry-after": "7"}},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502, "body": "<html>bad gateway</html>"},
    {"kind": "status", "status": 503},
    {"kind": "status", "status": 504, "body": []},
    {"kind": "status", "status": 101},
    {"kind": "status", "status": 204},
    {"kind": "status", "status": 307, "headers": {"location": "http://127.0.0.1:9/v1/chat/completions"}},
    {"kind": "no-json"},
    {"kind": "other-json"},
    {"kind": "other-json", "body": []},
    {"kind": "short-body"},
    {"kind": "endless-body"},
]
"""What an upstream does instead of an answer."""
BROKEN: list[dict[str, Any]] = [
    {"kind": kind}
    for kind in (
        "die",
        "end-early",
        "half-event",
        "half-event-cut",
        "garbage",
        "no-text",
        "no-chunk",
        "other-events",
        "endless-line",
        "endless-event",
        "hang-within",
        "error-event",
    )
]
"""What it does within a stream."""


def named(fault: dict[str, Any]) -> str:
    return "-".join(str(fault[name]) for name in ("kind", "status", "body") if name in fault)[:40]


@pytest.fixture(scope="module")
def behind() -> Iterator[list[Scripted]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Scripted(models=[MODEL])) for _ in range(2)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, behind: list[Scripted]) -> Iterator[JanServer]:
    """A Jan in front of the first one only."""
    root = tmp_path_factory.mktemp("alone") / "root"
    with jan_before(root, {"name": "one", "url": behind[0].url, **front.PATIENCE}) as server:
        yield server


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, behind: list[Scripted]) -> Iterator[JanServer]:
    """A Jan in front of both."""
    root = tmp_path_factory.mktemp("both") / "root"
    described = [{"name": f"u{number}", "url": one.url, **front.PATIENCE} for number, one in enumerate(behind)]
    with jan_before(root, *described) as server:
        yield server


@pytest.fixture(autouse=True)
def _calm(behind: list[Scripted]) -> Iterator[None]:
    for one in behind:
        one.calm()
    yield
    for one in behind:
        one.calm()


def answers_again(server: JanServer) -> None:
    """Wait until a request is answered whole."""
    until(lambda: ask(server, script(*WORDS), stream=False).whole, SECONDS, "an upstream that is well is asked again")


def both_are_asked(server: JanServer, behind: list[Scripted]) -> None:
    """Wait until every upstream is asked again, and forget what was."""
    numbers = iter(range(1_000_000))

    def asked() -> bool:
        ask(server, [*said(f"{next(numbers)}"), *script(*WORDS)], stream=False)
        return all(one.answers() for one in behind)

    until(asked, SECONDS, "both upstreams are asked again")
    for one in behind:
        one.control(forget=True)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("fault", EMPTY, ids=named)
def test_nothing_that_can_be_used_from_the_only_one(
    alone: JanServer, behind: list[Scripted], fault: dict[str, Any], stream: bool
) -> None:
    behind[0].control(fault=fault)
    found = ask(alone, script(*WORDS), stream=stream)
    assert found.error is not None, f"told as whole: {found.text!r}"
    wanted = (429,) if fault.get("status") == 429 else (500, 502, 503, 504)
    assert found.status in wanted, found.error
    assert found.status != 500, f"told as a defect of Jan: {found.error}"
    assert "one" in found.error["message"], f"it does not say which upstream: {found.error}"
    if found.status == 429:
        assert int(found.headers["retry-after"]) >= 1
    behind[0].control(fault=None)
    answers_again(alone)
    assert behind[0].told()["open"] == 0


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("fault", EMPTY, ids=named)
def test_nothing_that_can_be_used_from_one_of_two(
    both: JanServer, behind: list[Scripted], fault: dict[str, Any], stream: bool
) -> None:
    for number, one in enumerate(behind):
        behind[1 - number].control(fault=None)
        one.control(fault=fault)
        for conversation in range(2):
            messages = [*said(f"{number} {conversation}"), *script(*WORDS)]
            found = ask(both, messages, stream=stream)
            assert found.whole, (found.status, found.error, found.text)
        one.control(fault=None)


@pytest.mark.parametrize("after", [0, 1, 5, 13])
@pytest.mark.parametrize("fault", BROKEN, ids=named)
def test_a_stream_that_breaks(alone: JanServer, behind: list[Scripted], fault: dict[str, Any], after: int) -> None:
    """Events 1 to 12 are the words, 0 is the role, and 13 would be the reason: without it no answer is whole."""
    found = ask(alone, script(*WORDS, fault={**fault, "after": after}), stream=True)
    assert found.error is not None, f"told as whole: {found.text!r}, {found.reason}"
    assert WHOLE.startswith(found.text), "what was told is not what was said"
    assert found.status == 200 or not found.text, found.error
    assert found.status < 500 or found.status in (502, 503, 504), found.error
    answers_again(alone)


@pytest.mark.parametrize("fault", BROKEN, ids=named)
def test_a_plain_answer_of_which_half_comes(alone: JanServer, behind: list[Scripted], fault: dict[str, Any]) -> None:
    found = ask(alone, script(*WORDS, fault={**fault, "after": 3}), stream=False)
    assert found.error is not None, f"told as whole: {found.text!r}"
    assert found.status in (502, 503, 504), found.error
    answers_again(alone)


@pytest.mark.parametrize("fault", BROKEN, ids=named)
def test_a_stream_that_has_begun_is_begun_nowhere_else(
    both: JanServer, behind: list[Scripted], fault: dict[str, Any]
) -> None:
    found = ask(both, script(*WORDS, fault={**fault, "after": 4}), stream=True)
    assert found.error is not None
    assert "".join(WORDS[:3]).startswith(found.text)
    asked = sum(len(one.answers()) for one in behind)
    assert asked == 1 or not found.text, "an answer was begun by one and gone on with by another"


def test_a_request_that_is_wrong_is_asked_once(both: JanServer, behind: list[Scripted]) -> None:
    both_are_asked(both, behind)
    for status in (400, 404, 413, 422):
        for one in behind:
            one.control(fault={"kind": "status", "status": status}, forget=True)
        found = ask(both, script(*WORDS), stream=False)
        assert found.error is not None
        assert 400 <= found.status < 500, (status, found.status, found.error)
        assert sum(len(one.answers()) for one in behind) == 1, status


def test_retries_end(both: JanServer, behind: list[Scripted]) -> None:
    both_are_asked(both, behind)
    for one in behind:
        one.fault("status", status=503)
    found = ask(both, script(*WORDS), stream=True)
    assert found.status in (502, 503)
    assert 1 <= sum(len(one.answers()) for one in behind) <= 6, (
        "a request that fails everywhere is asked again and again"
    )
    for one in behind:
        one.control(fault=None)
    answers_again(both)


def test_models_that_an_upstream_no_longer_has(both: JanServer, behind: list[Scripted]) -> None:
    """Between two looks at its models it may lose one: who still has it is asked, else it is a 404."""
    both_are_asked(both, behind)
    behind[0].control(models=["other"])
    for number in range(8):
        found = ask(both, [*said(f"{number}"), *script(*WORDS)], stream=bool(number % 2))
        assert found.whole, (found.status, found.error)
    behind[1].control(models=["other"])
    found = ask(both, script(*WORDS), stream=False)
    assert found.error is not None
    assert (found.status, found.error["code"]) == (404, "model_not_found")
    for one in behind:
        one.calm()
    answers_again(both)


def test_a_reader_that_is_slow_costs_no_memory(alone: JanServer, behind: list[Scripted]) -> None:
    """What the client does not take the upstream may not send: Jan holds a bounded part of it."""
    answers_again(alone)
    before = resident(alone.process.pid)
    raws = [alone.raw() for _ in range(4)]
    for raw in raws:
        raw.chat(model=MODEL, messages=script("a", fault={"kind": "flood", "after": 1}), stream=True)
        raw.head()
    pause, sizes = threading.Event(), []
    for _ in range(20):
        pause.wait(0.1)
        sizes.append(resident(alone.process.pid))
    assert max(sizes) - before < 40, f"from {before:.0f} to {max(sizes):.0f} MB"
    used = alone_cpu(alone)
    pause.wait(1)
    assert alone_cpu(alone) - used < 0.5, "Jan goes on reading what nobody takes"
    for raw in raws:
        raw.leave()
    behind[0].until(lambda told: told["open"] == 0, SECONDS)
    print(f"\n4 floods that nobody reads: {before:.0f} MB before, {max(sizes):.0f} MB at most")


def alone_cpu(server: JanServer) -> float:
    """CPU seconds of a server."""
    from tests.e2e.server import cpu_seconds

    return cpu_seconds(server.process.pid)


def test_replicas_that_die_and_come_back_cost_no_request(tmp_path: Path, full_counts: bool) -> None:
    """Four upstreams; each second one is killed and started again; no request fails before its first byte."""
    rounds, clients = 60 if full_counts else 8, 8
    over = threading.Event()
    outcomes: Counter[str] = Counter()
    failed: list[str] = []
    lock = threading.Lock()

    def work(server: JanServer, number: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            messages = [*said(f"{number} {turn}"), *script(*WORDS, rate=200)]
            stream = turn % 4 != 0
            found = ask(server, messages, stream=stream)
            with lock:
                if found.whole:
                    outcomes["whole"] += 1
                elif not stream and found.error is not None and "within its answer" in found.error["message"]:
                    outcomes["plain, broken off"] += 1
                elif found.status == 200:
                    assert WHOLE.startswith(found.text)
                    outcomes["broken off, and told so"] += 1
                else:
                    outcomes["failed before the first byte"] += 1
                    failed.append(f"{found.status} {found.error}")

    with ExitStack() as stack:
        replicas = [stack.enter_context(Scripted(models=[MODEL])) for _ in range(4)]
        described = [{"name": f"u{number}", "url": one.url, **front.PATIENCE} for number, one in enumerate(replicas)]
        server = stack.enter_context(jan_before(tmp_path / "root", *described))
        threads = [threading.Thread(target=work, args=(server, number)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            for number in range(rounds):
                one = replicas[number % 4]
                over.wait(0.5)
                one.kill()
                over.wait(0.5)
                one.start()
        finally:
            over.set()
            for thread in threads:
                thread.join(60)
        assert not [thread for thread in threads if thread.is_alive()], "a request hangs"
    print(f"\n4 upstreams, {rounds} killed and started again under {clients} clients: {dict(outcomes)}")
    assert outcomes["whole"] > rounds * 10, outcomes
    assert not failed, failed[:5]


def test_all_of_them_gone_is_told_at_once_and_found_again(tmp_path: Path) -> None:
    with (
        Scripted(models=[MODEL]) as one,
        jan_before(tmp_path / "root", {"name": "one", "url": one.url, **front.PATIENCE}) as server,
    ):
        assert ask(server, script(*WORDS), stream=True).whole
        one.kill()
        for _ in range(5):
            found = ask(server, script(*WORDS), stream=True)
            assert found.error is not None
            assert (found.status, found.seconds < 5) == (503, True), found.error
            assert int(found.headers["retry-after"]) >= 1
        assert httpx2.get(f"http://127.0.0.1:{server.port}/health").status_code == 200
        assert httpx2.get(f"http://127.0.0.1:{server.port}/v1/models").status_code == 200
        one.start()
        answers_again(server)


def test_a_server_starts_before_its_upstreams(tmp_path: Path) -> None:
    one = Scripted(models=[MODEL])
    with one:
        port = one.port
        one.kill()
        with jan_before(
            tmp_path / "root", {"name": "one", "url": f"http://127.0.0.1:{port}/v1", **front.PATIENCE}
        ) as jan:
            http = jan.http()
            reply = http.post(CHAT, json={"model": MODEL, "messages": script(*WORDS)})
            assert reply.status_code in (404, 503), reply.text
            one.start()
            answers_again(jan)
