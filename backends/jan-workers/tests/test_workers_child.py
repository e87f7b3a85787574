from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jan_workers import wire
from jan_workers.child import Child, Refused


class Saying(Child):
    """Runs in this process: only what ends a process needs one of its own (see the tests of the process)."""

    def open(self, given: dict[str, Any]) -> None:
        self.opened = given

    def answer(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        if task == "fail":
            raise ValueError("no")
        if task == "refuse":
            raise Refused("bad", "the model's fault")
        if task == "greedy":
            raise MemoryError
        while not on_piece(body):
            if task == "once":
                return
            threading.Event().wait(0.005)


class Ends:
    """A child in a thread, and the server's ends of its pipes."""

    def __init__(self) -> None:
        read, self.to = os.pipe()
        self.back, write = os.pipe()
        self.child = Saying(read, write)
        self.frames: list[tuple[int, int, bytes]] = []
        self._cut = wire.Frames(lambda kind, request, payload: self.frames.append((kind, request, payload)))

    def send(self, kind: int, request: int, payload: bytes = b"") -> None:
        self.child._frames.feed(wire.pack(kind, request, payload))

    def until(self, kind: int, request: int) -> bytes:
        """The payload of the next frame of this kind for this request."""
        while True:
            for at, (found, number, payload) in enumerate(self.frames):
                if (found, number) == (kind, request):
                    del self.frames[: at + 1]
                    return payload
            self._cut.feed(os.read(self.back, 1 << 16))

    def close(self) -> None:
        for fd in (self.to, self.back, self.child._read, self.child._write):
            os.close(fd)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    # The limits are for the process, which here is the tests' own.
    monkeypatch.setattr("jan_workers.child._limit_memory", lambda more: None)
    made = Ends()
    made.send(wire.LOAD, 0, json.dumps({"slots": 2}).encode())
    for stage in (wire.STARTED, wire.CHECKED, wire.READY):
        made.until(stage, 0)
    yield made
    assert made.child._pool is not None
    made.child._pool.shutdown()
    made.close()


def test_pieces_and_the_end_of_each_request(ends: Ends) -> None:
    ends.send(wire.REQUEST, 7, b"once\n{}")
    assert ends.until(wire.EVENT, 7) == b"{}"
    assert ends.until(wire.END, 7) == b""
    assert ends.child.opened == {"slots": 2}


def test_a_cancelled_request_ends_whether_it_has_begun_or_not(ends: Ends) -> None:
    ends.send(wire.REQUEST, 1, b"for ever\n{}")
    ends.until(wire.EVENT, 1)
    ends.send(wire.CANCEL, 1)
    assert ends.until(wire.END, 1) == b""
    ends.send(wire.CANCEL, 2)
    ends.send(wire.REQUEST, 2, b"for ever\n{}")
    assert ends.until(wire.END, 2) == b""


@pytest.mark.parametrize(
    ("task", "code", "message"),
    [
        ("fail", "request_failed", "no"),
        ("refuse", "bad", "the model's fault"),
        ("greedy", "out_of_memory", "the request needed too much memory"),
    ],
)
def test_an_error_is_the_requests_own(ends: Ends, task: str, code: str, message: str) -> None:
    ends.send(wire.REQUEST, 3, task.encode() + b"\n{}")
    assert json.loads(ends.until(wire.END, 3)) == {"code": code, "message": message}
    ends.send(wire.REQUEST, 4, b"once\n{}")
    assert ends.until(wire.END, 4) == b""


def test_a_sign_of_life_comes_also_while_it_answers(ends: Ends) -> None:
    ends.send(wire.REQUEST, 1, b"for ever\n{}")
    ends.send(wire.PING, 0)
    assert ends.until(wire.PONG, 0) == b""
    ends.send(wire.CANCEL, 1)
    ends.until(wire.END, 1)
