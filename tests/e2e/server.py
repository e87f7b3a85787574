"""A real `jan serve` for the end-to-end tests: a process, a port, its log, its workers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx2
import openai
import pytest

from tests.command_line import environment, jan_command
from tests.e2e.checks import CheckedTransport, Checks
from tests.e2e.raw import Raw
from tests.parts import Site

T = TypeVar("T")
MODEL = "smollm2-135m-instruct"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other processes are looked at through /proc")
ENGINE = {"threads": 1, "context": 1024}
"""One thread computes as fast on a machine that is busy with other tests; two would wait for each other."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Ask again and again until the answer is true; fails the test when it is not in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}")
        pause.wait(0.005)
    return found


def run_jan(*arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        jan_command(*arguments), capture_output=True, text=True, timeout=seconds, env=environment(), check=False
    )


def add_model(root: Path, name: str, weights: Path, **description: Any) -> Path:
    """Put a link to the weights, and a `model.json` where there is something to say, into a root."""
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / weights.name).symlink_to(weights)
    if description:
        (folder / "model.json").write_text(json.dumps(description))
    return folder


def write_config(root: Path, **tables: dict[str, Any]) -> None:
    """Write `jan.toml`; `jan_llamacpp` is the table `[jan-llamacpp]`, which gets the tests' own defaults."""
    tables["jan_llamacpp"] = {**ENGINE, **tables.get("jan_llamacpp", {})}
    tables["jan_workers"] = {"load_seconds": 60, **tables.get("jan_workers", {})}
    lines = []
    for table, values in tables.items():
        lines.append(f"[{table.replace('_', '-')}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    root.mkdir(parents=True, exist_ok=True)
    (root / "jan.toml").write_text("\n".join(lines) + "\n")


class JanServer:
    """A server on a free port, for the time of a `with`.

    Args:
        root: its root folder, with the config it is to have.
        flags: of `jan serve`, besides.
        site: packages that it is to find installed.
    """

    def __init__(self, root: Path, *flags: str, site: Site | None = None) -> None:
        self.root = root
        self.checks = Checks()
        self.log: list[dict[str, Any]] = []
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._clients: list[httpx2.Client] = []
        self._raws: list[Raw] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            jan_command("serve", "--root", str(root), "--port", "0", *flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(PYTHONUNBUFFERED="1", **({} if site is None else {"PYTHONPATH": str(site.folder)})),
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.stdout)),
            threading.Thread(target=self._read, args=(self.process.stderr, self.stderr)),
        ]
        for reader in self._readers:
            reader.start()
        self.port = int(self._wait(self._announced, 60, "the server's address")[1])

    def __enter__(self) -> JanServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop it, at once where it does not stop by itself, and let go of everything."""
        for client in self._clients:
            client.close()
        for raw in self._raws:
            raw.leave()
        self.process.terminate()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            for reader in self._readers:
                reader.join(60)
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()
        assert not [line for line in self.stderr if "Traceback" in line], "\n".join(self.stderr[-60:])

    def http(self, **options: Any) -> httpx2.Client:
        """A plain HTTP client, whose every reply is checked."""
        client = httpx2.Client(
            transport=CheckedTransport(self.checks), base_url=f"http://127.0.0.1:{self.port}", timeout=60, **options
        )
        self._clients.append(client)
        return client

    def client(self, *, retries: int = 0) -> openai.OpenAI:
        """The official client, whose every reply and event is checked."""
        url = f"http://127.0.0.1:{self.port}/v1"
        return openai.OpenAI(base_url=url, api_key="x", max_retries=retries, http_client=self.http())

    def raw(self) -> Raw:
        """A bare connection."""
        self._raws.append(Raw(self.port, self.checks))
        return self._raws[-1]

    def line_of(self, request_id: str, seconds: float = 60) -> dict[str, Any]:
        """The log's line of a request, waited for."""
        return self._wait(
            lambda: next((line for line in self.log if line.get("request_id") == request_id), None),
            seconds,
            f"a line in the log for {request_id}",
        )

    def lines_with(self, count: int, seconds: float = 60, **facts: Any) -> list[dict[str, Any]]:
        """At least `count` lines of the log that have these facts, waited for."""

        def found() -> list[dict[str, Any]]:
            lines = [line for line in self.log if facts.items() <= line.items()]
            return lines if len(lines) >= count else []

        return self._wait(found, seconds, f"{count} lines in the log with {facts}")

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        return children(self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def _announced(self) -> re.Match[str] | None:
        return next(filter(None, map(_ADDRESS.search, list(self.stdout))), None)

    def _read(self, pipe: IO[str], into: list[str]) -> None:
        for line in pipe:
            with self._changed:
                into.append(line.rstrip("\n"))
                if into is self.stderr and line.startswith("{"):
                    self.log.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], T | None], seconds: float, what: str) -> T:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (found := condition()):
                ended = self.process.poll() is not None
                if ended or not self._changed.wait(max(0, deadline - time.monotonic())):
                    said = "\n".join(self.stderr[-20:])
                    pytest.fail(f"no {what}{' before the server ended' if ended else f' in {seconds:g} s'}: {said}")
        return found


def children(pid: int) -> list[int]:
    """Process ids whose parent is `pid`, those that have ended left out."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state = _state(int(entry.name))
            if state is not None and state[0] != "Z" and int(state[1]) == pid:
                found.append(int(entry.name))
    return found


def is_running(pid: int) -> bool:
    """False where the process has ended, its parent having been told or not."""
    state = _state(pid)
    return state is not None and state[0] != "Z"


def cpu_seconds(pid: int) -> float:
    """CPU time a process has used."""
    state = _state(pid)
    assert state is not None, f"process {pid} has gone"
    return (int(state[11]) + int(state[12])) / os.sysconf("SC_CLK_TCK")


def _state(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def until_idle(pid: int, seconds: float) -> float:
    """Wait until a process has computed nothing for a tenth of a second; returns when that began (monotonic)."""
    last, since = cpu_seconds(pid), time.monotonic()

    def idle() -> bool:
        nonlocal last, since
        now, used = time.monotonic(), cpu_seconds(pid)
        if used > last:
            last, since = used, now
        return now - since >= 0.1

    until(idle, seconds, f"process {pid} is idle")
    return since
