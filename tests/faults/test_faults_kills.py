"""A real server under writers, killed: what was acknowledged is there, once and in order, and every file is whole."""

from __future__ import annotations

import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import JanServer
from tests.faults.conversation import check_files
from tests.faults.wire import Gone, Wire

pytestmark = pytest.mark.faults

APPENDERS = 6
KEYED = 4


def message(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


class Appender:
    """Adds numbered messages to one thread. What was not answered it sends again, where it has keys for that."""

    def __init__(self, name: int, thread: str, *, keyed: bool) -> None:
        self.name = name
        self.path = f"/threads/{thread}/messages"
        self.keyed = keyed
        self.next = 0
        self.answered: list[str] = []
        self.open: set[str] = set()

    def work(self, wire: Wire) -> None:
        # Every seventh does not fit in a page.
        text = f"{self.name}:{self.next}:" + "ß" * (5000 if self.next % 7 == 3 else self.next % 300)
        self.open.add(text)
        reply = wire.good("POST", self.path, message(text), key=f"{self.name}-{self.next}" if self.keyed else None)
        assert reply["content"][0]["text"]["value"] == text
        self.done(text)

    def done(self, text: str) -> None:
        self.open.discard(text)
        self.answered.append(text)
        self.next += 1

    def lost(self) -> None:
        if not self.keyed:
            self.next += 1

    def check(self, texts: list[str]) -> None:
        mine = [text for text in texts if text.startswith(f"{self.name}:")]
        assert len(set(mine)) == len(mine), f"doubled: {[text[:20] for text in mine]}"
        assert set(self.answered) <= set(mine), [text[:20] for text in self.answered if text not in mine]
        assert set(mine) <= {*self.answered, *self.open}
        numbers = [int(text.split(":")[1]) for text in mine]
        assert numbers == sorted(numbers), "the order of a writer is lost"


class Maker:
    """Makes threads with messages, under keys, changes them, and deletes every third."""

    def __init__(self) -> None:
        self.next = 0
        self.there: dict[str, Any] = {}
        self.gone: set[str] = set()
        self.doubtful: set[str] = set()

    def work(self, wire: Wire) -> None:
        number = self.next
        texts = [f"{number} {index}" for index in range(3)]
        body = {"messages": [message(text) for text in texts], "metadata": {"number": str(number)}}
        thread = wire.good("POST", "/threads", body, key=f"make {number}")
        self.there.setdefault(thread["id"], thread)
        self.next += 1
        self.doubtful.add(thread["id"])
        if number % 3 == 0:
            wire.good("DELETE", f"/threads/{thread['id']}")
            del self.there[thread["id"]]
            self.gone.add(thread["id"])
        elif number % 3 == 1:
            change = {"title": f"t{number}", "model": "m", "parameters": {"seed": number}}
            self.there[thread["id"]] = wire.good("POST", f"/threads/{thread['id']}", change)
        self.doubtful.discard(thread["id"])

    def lost(self) -> None:
        pass

    def check(self, wire: Wire, threads: dict[str, Any]) -> None:
        numbers = [one["metadata"]["number"] for one in threads.values() if "number" in one["metadata"]]
        assert len(set(numbers)) == len(numbers), "a thread was made twice under one key"
        for thread_id in self.gone:
            assert thread_id not in threads
            assert wire.ask("GET", f"/threads/{thread_id}/messages")[0] == 404
        for thread_id, thread in list(self.there.items()):
            if thread_id in self.doubtful:
                if thread_id not in threads:
                    del self.there[thread_id]
                    self.gone.add(thread_id)
                else:
                    self.there[thread_id] = threads[thread_id]
                continue
            assert threads[thread_id] == thread
        self.doubtful.clear()
        for thread_id, thread in threads.items():
            if "number" in thread["metadata"]:
                number = thread["metadata"]["number"]
                assert wire.texts(thread_id) == [f"{number} {index}" for index in range(3)], "a thread without messages"


class Changer:
    """Adds messages to a thread of its own, changes and deletes them."""

    def __init__(self, thread: str) -> None:
        self.path = f"/threads/{thread}/messages"
        self.next = 0
        self.there: dict[str, Any] = {}
        self.doubtful = ""

    def work(self, wire: Wire) -> None:
        made = wire.good("POST", self.path, message(f"c {self.next}"), key=f"change {self.next}")
        self.next += 1
        self.there.setdefault(made["id"], made)
        self.doubtful = made["id"]
        if self.next % 3 == 0:
            new = {"metadata": {"changed": str(self.next)}}
            self.there[made["id"]] = wire.good("POST", f"{self.path}/{made['id']}", new)
        elif self.next % 3 == 1:
            wire.good("DELETE", f"{self.path}/{made['id']}")
            del self.there[made["id"]]
        self.doubtful = ""

    def lost(self) -> None:
        pass

    def check(self, wire: Wire) -> None:
        found = {one["id"]: one for one in wire.all(self.path)}
        if self.doubtful and self.doubtful in self.there:
            if self.doubtful in found:
                self.there[self.doubtful] = found[self.doubtful]
            else:
                del self.there[self.doubtful]
        self.doubtful = ""
        more = [one for one in found if one not in self.there]
        assert {key: found.get(key) for key in self.there} == self.there
        # One whose answer did not arrive; it is sent again.
        assert len(more) <= 1
        assert list(found)[: len(self.there)] == list(self.there)


def run(server: JanServer, writers: list[Any], answers: int, seconds: float) -> list[BaseException]:
    """Let all of them write until the server is killed, `seconds` after so many were content; what they complain of."""
    wrong: list[BaseException] = []
    enough, pause, lock, done = threading.Event(), threading.Event(), threading.Lock(), 0

    def write(writer: Any) -> None:
        nonlocal done
        wire = Wire(server.port)
        try:
            while True:
                writer.work(wire)
                with lock:
                    done += 1
                    if done >= answers:
                        enough.set()
        except Gone:
            writer.lost()
        except BaseException as error:
            wrong.append(error)
            enough.set()
        finally:
            wire.close()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for one in threads:
        one.start()
    assert enough.wait(120)
    pause.wait(seconds)
    server.stop(signal.SIGKILL)
    for one in threads:
        one.join(120)
        assert not one.is_alive()
    return wrong


def test_a_server_that_is_killed_under_writers_loses_and_doubles_nothing(tmp_path: Path, full_counts: bool) -> None:
    chance, root, kills = random.Random(4), tmp_path / "root", 200 if full_counts else 5
    with JanServer(root) as server:
        wire = Wire(server.port)
        shared, own = (wire.good("POST", "/threads", {})["id"] for _ in range(2))
        wire.close()
    appenders = [Appender(name, shared, keyed=name < KEYED) for name in range(APPENDERS)]
    maker, changer = Maker(), Changer(own)
    files = 0

    def check(port: int) -> int:
        wire = Wire(port)
        texts = wire.texts(shared)
        for appender in appenders:
            appender.check(texts)
        maker.check(wire, {one["id"]: one for one in wire.all("/threads")})
        changer.check(wire)
        wire.close()
        return check_files(root)

    for _ in range(kills):
        with JanServer(root) as server:
            files += check(server.port)
            wrong = run(server, [*appenders, maker, changer], chance.randrange(1, 60), chance.uniform(0, 0.01))
            assert not wrong, wrong
    with JanServer(root) as server:
        files += check(server.port)
    answered = sum(len(one.answered) for one in appenders)
    assert answered > kills, "hardly anything was written, so nothing was tried"
    print(
        f"\n{APPENDERS + 2} writers, killed -9 {kills} times: {answered} messages, {maker.next} threads and "
        f"{changer.next} changed messages acknowledged; 0 lost, 0 doubled, 0 out of order; {files} files, all whole"
    )
