"""Several servers on one root: writers and readers of one thread, each by whatever server."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import JanServer
from tests.faults.conversation import check_files
from tests.faults.wire import Wire

pytestmark = pytest.mark.faults

SERVERS = 4
WRITERS = 4
READERS = 3


class Shared:
    """What was acknowledged so far, by all writers together."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.there: set[str] = set()
        self.deleted: set[str] = set()
        self.changed: dict[str, str] = {}
        self.wrong: list[BaseException] = []
        self.ended = threading.Event()
        self.reads = 0

    def state(self) -> tuple[set[str], set[str], dict[str, str]]:
        with self.lock:
            return set(self.there), set(self.deleted), dict(self.changed)


def write(name: int, port: int, path: str, count: int, shared: Shared) -> None:
    """Add messages; change every fifth, and delete every seventh."""
    wire = Wire(port)
    try:
        for number in range(count):
            text = f"{name}:{number}:" + "x" * (7000 if number % 11 == 5 else number % 200)
            made = wire.good("POST", path, {"role": "user", "content": text})
            with shared.lock:
                shared.there.add(made["id"])
            if number % 5 == 4:
                reply = wire.good("POST", f"{path}/{made['id']}", {"metadata": {"changed": str(number)}})
                assert reply["content"] == made["content"]
                with shared.lock:
                    shared.changed[made["id"]] = str(number)
            if number % 7 == 6:
                with shared.lock:
                    shared.there.remove(made["id"])
                wire.good("DELETE", f"{path}/{made['id']}")
                with shared.lock:
                    shared.deleted.add(made["id"])
    except BaseException as error:
        shared.wrong.append(error)
    finally:
        wire.close()


def read(ports: list[int], path: str, shared: Shared) -> None:
    """Look at the newest ones, one of them, and sometimes all, by one server after the other."""
    wires = [Wire(port) for port in ports]
    try:
        while not shared.ended.is_set():
            for number, wire in enumerate(wires):
                there, deleted, changed = shared.state()
                if number % 2:
                    found = {one["id"]: one for one in everything(wire, path)}
                    # What is being deleted meanwhile may be seen or not.
                    missing = (there & shared.state()[0]) - found.keys()
                    check_seen(missing, found, deleted, changed)
                else:
                    page = wire.good("GET", f"{path}?limit=20")["data"]
                    check_seen(set(), {one["id"]: one for one in page}, deleted, changed)
                    if page:
                        status, one = wire.ask("GET", f"{path}/{page[-1]['id']}")
                        assert status == 200 or (status == 404 and page[-1]["id"] not in shared.state()[0]), one
                shared.reads += 1
    except BaseException as error:
        shared.wrong.append(error)
    finally:
        for wire in wires:
            wire.close()


def everything(wire: Wire, path: str) -> list[Any]:
    """All messages, oldest first; begun anew where the one that a page is to follow was deleted."""
    found: list[Any] = []
    while True:
        after = f"&after={found[-1]['id']}" if found else ""
        status, page = wire.ask("GET", f"{path}?limit=100&order=asc{after}")
        if status == 400 and page["error"]["param"] == "after":
            found = []
            continue
        assert status == 200, page
        found += page["data"]
        if not page["has_more"]:
            return found


def check_seen(missing: set[str], found: dict[str, Any], deleted: set[str], changed: dict[str, str]) -> None:
    assert not missing, f"acknowledged before the look, and not seen: {missing}"
    assert not found.keys() & deleted, "deleted before the look, and seen"
    for one in found.keys() & changed.keys():
        assert found[one]["metadata"] == {"changed": changed[one]}, "changed before the look, and seen as it was"


def test_many_processes_and_writers_on_one_thread_lose_and_double_nothing(tmp_path: Path, full_counts: bool) -> None:
    root, shared, count = tmp_path / "root", Shared(), 300 if full_counts else 15
    with ExitStack() as stack:
        ports = [stack.enter_context(JanServer(root)).port for _ in range(SERVERS)]
        wire = Wire(ports[0])
        thread = wire.good("POST", "/threads", {})["id"]
        path = f"/threads/{thread}/messages"
        writers = [
            threading.Thread(target=write, args=(name, ports[name % SERVERS], path, count, shared))
            for name in range(SERVERS * WRITERS)
        ]
        readers = [
            threading.Thread(target=read, args=(ports[number:] + ports[:number], path, shared))
            for number in range(READERS)
        ]
        for one in (*writers, *readers):
            one.start()
        for one in writers:
            one.join()
        shared.ended.set()
        for one in readers:
            one.join()
        assert not shared.wrong, shared.wrong
        for port in ports:
            other = Wire(port)
            found = other.all(path)
            other.close()
            check_all(found, shared, count)
        wire.close()
        assert check_files(root) >= 3
    assert shared.reads > 10
    print(
        f"\n{SERVERS} servers x {WRITERS} writers on one thread: {SERVERS * WRITERS * count} messages, of which "
        f"{len(shared.changed)} changed and {len(shared.deleted)} deleted; 0 lost, 0 doubled, 0 out of order; "
        f"{READERS} readers looked {shared.reads} times: 0 saw less than was acknowledged, 0 errors"
    )


def check_all(found: list[Any], shared: Shared, count: int) -> None:
    """Fail unless every message is there, once, in its writer's order, as it was last answered."""
    assert {one["id"] for one in found} == shared.there
    assert len(found) == len(shared.there)
    numbers: dict[str, list[int]] = {}
    for one in found:
        name, number, _ = one["content"][0]["text"]["value"].split(":")
        numbers.setdefault(name, []).append(int(number))
        assert one["metadata"] == ({"changed": shared.changed[one["id"]]} if one["id"] in shared.changed else {})
    assert len(numbers) == SERVERS * WRITERS
    for mine in numbers.values():
        assert mine == [number for number in range(count) if number % 7 != 6]
