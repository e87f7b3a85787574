"""The upstreams of tests, each a process: started, killed, started again on the same port, and told what to do."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx2

T = TypeVar("T")
HOUSE = Path(__file__).parents[2]
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Upstream:
    """A server in a process of its own, for the time of a `with`.

    Args:
        module: what is run, below `tests.upstreams`.
        arguments: behind the port.

    Attributes:
        port: where it answers, on 127.0.0.1; the same after it was killed and started again.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._module = module
        self._arguments = arguments
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """What a client of it is configured with."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it, on the port that it had before, and wait until it answers."""
        command = [sys.executable, "-m", f"tests.upstreams.{self._module}", str(self.port), *self._arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=HOUSE
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = _ADDRESS.search(line)
            if found:
                self.port = int(found[1])
                return
        raise AssertionError(f"{' '.join(command)} ended with {self.process.wait()} and gave no address")

    def kill(self) -> None:
        """End it at once; what it was answering breaks off."""
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class Scripted(Upstream):
    """The one that does what it is told; see `tests.upstreams.scripted`.

    Args:
        settings: what it is told first, also when it is started again.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__("scripted", json.dumps(settings))

    def control(self, **told: Any) -> dict[str, Any]:
        """Tell it what to do from now on; returns what came so far."""
        address = f"http://127.0.0.1:{self.port}/control"
        with httpx2.Client(timeout=60, trust_env=False) as http:
            found: dict[str, Any] = http.post(address, json=told).json()
        return found

    def fault(self, kind: str, **more: Any) -> None:
        """Have it do this wrong from now on."""
        self.control(fault={"kind": kind, **more})

    def calm(self) -> None:
        """Have it do all right, and forget what came."""
        self.control(fault=None, forget=True, form={}, key=None, pause=0.0, models=["scripted"])

    def told(self) -> dict[str, Any]:
        """What came so far."""
        return self.control()

    def answers(self) -> list[dict[str, Any]]:
        """The requests for answers that came, without those that look after it."""
        return [one for one in self.told()["requests"] if one["method"] == "POST"]

    def until(self, condition: Callable[[dict[str, Any]], T], seconds: float = 30) -> T:
        """Wait until what came fulfils this; fails when it does not in time."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while not (found := condition(told := self.told())):
            if time.monotonic() > deadline:
                counts = {name: value for name, value in told.items() if name != "requests"}
                raise AssertionError(f"not within {seconds:g} s; {counts}")
            pause.wait(0.01)
        return found


def jan(root: Path) -> Upstream:
    """A Jan on the scripted engine."""
    root.mkdir(parents=True, exist_ok=True)
    return Upstream("jan", str(root))


def llamacpp(
    path: Path, *, slots: int = 2, context: int = 512, embedding: bool = False, cache: bool = True
) -> Upstream:
    """llama.cpp's own server with this model."""
    given = {
        "path": str(path),
        "context": context,
        "slots": slots,
        "threads": 1,
        "embedding": embedding,
        "cache": cache,
    }
    return Upstream("llamacpp", json.dumps(given))


@contextlib.contextmanager
def several(*upstreams: Upstream) -> Iterator[tuple[Upstream, ...]]:
    """Several, started and ended together."""
    with contextlib.ExitStack() as stack:
        yield tuple(stack.enter_context(one) for one in upstreams)
