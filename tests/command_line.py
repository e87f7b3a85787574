"""The command `jan` for tests: run in this process, in one of its own, or in a terminal."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from jan_core.cli import main
from tests.parts import Site

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals as on POSIX")
SECONDS = 60.0
"""Longest wait for what a command does: a busy machine takes ten times as long as a quiet one to start Python."""
CHOICES = '[endpoints]\nchat = "chat-heard"\nmodels = "models-memory"\n'
"""Chooses what `add_heard` installs: the scripted engine, which needs no model."""

_HEARD = """\
import json, sys
from jan_core.hookspecs import hookimpl
from jan_core.testing.scripted import ScriptedChat

class Heard(ScriptedChat):
    def create_stream(self, body):
        heard = {"messages": [[one.role, one.content] for one in body.messages], "max_tokens": body.max_tokens}
        print("heard", json.dumps(heard), file=sys.stderr)
        return super().create_stream(body)

@hookimpl
def provide_chat(settings, jan):
    return Heard(jan)
"""
_OWN_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


_started: list[subprocess.Popen[str]] = []


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


def jan_command(*arguments: str) -> list[str]:
    """The command line `jan …` of this environment."""
    return [sys.executable, "-m", "jan_core.cli", *arguments]


def environment(**more: str) -> dict[str, str]:
    """This environment without Jan's own variables, so that a test means what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAN_", "PYTHONUNBUFFERED"))}
    return {**kept, **more}


class Call(Protocol):
    """Runs `jan` with these arguments in this process."""

    def __call__(self, *arguments: str | Path) -> Done:
        """See above."""


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """Something that runs `jan` in this process."""

    def call(*arguments: str | Path) -> Done:
        capsys.readouterr()
        code = 0
        try:
            main([str(one) for one in arguments])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err
        return Done(code, told.out, told.err)

    return call


def start(*arguments: str | Path, site: Site | None = None, stdin: str | None = None) -> subprocess.Popen[str]:
    """Start `jan` as a process, with the packages of `site` installed, and with what is typed to it."""
    more = {} if site is None else {"PYTHONPATH": str(site.folder)}
    process = subprocess.Popen(
        jan_command(*map(str, arguments)),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**more),
    )
    _started.append(process)
    if stdin is not None:
        assert process.stdin is not None
        process.stdin.write(stdin)
        process.stdin.flush()
    return process


def kill_started() -> None:
    """Kill what `start` has started and a failed test has left running."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def end(process: subprocess.Popen[str], seconds: float = SECONDS) -> Done:
    """What a started process told, when it has ended by itself."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert "Traceback" not in err
    return Done(process.returncode, out, err)


def until(process: subprocess.Popen[str], text: str, seconds: float = SECONDS) -> str:
    """What a started process writes on its stdout, up to the piece that brings `text`."""
    assert process.stdout is not None
    told = b""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as ready:
        ready.register(process.stdout, selectors.EVENT_READ)
        while text.encode() not in told:
            if not ready.select(max(0, deadline - time.monotonic())):
                process.kill()
                pytest.fail(f"not within {seconds:g} s: {text!r}; told: {told!r}, {process.communicate()}")
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                pytest.fail(f"it ended without {text!r}; told: {told!r}, {process.communicate()}")
            told += piece
    return told.decode()


def run(*arguments: str | Path, site: Site | None = None, stdin: str | None = None) -> Done:
    """Run `jan` as a process to its end."""
    return end(start(*arguments, site=site, stdin=stdin))


def root_with(folder: Path, text: str) -> Path:
    """A root folder whose `jan.toml` has this text."""
    folder.mkdir(exist_ok=True)
    (folder / "jan.toml").write_text(text, "utf-8")
    return folder


def add_heard(site: Site) -> None:
    """Install models in memory, and the scripted engine, which tells on stderr what it heard."""
    modules = {"chat-heard": "jan_heard", "models-memory": "jan_core.testing.memory"}
    site.add("jan-heard", {"jan_heard.py": _HEARD}, {"modules": modules})


class Terminal:
    """A command in a terminal of its own, for the time of a `with`.

    Attributes:
        seen: everything it has shown.
    """

    def __init__(self, *command: str, site: Site | None = None) -> None:
        import pty
        import termios

        more = {} if site is None else {"PYTHONPATH": str(site.folder)}
        self._own, other = pty.openpty()
        termios.tcsetwinsize(other, (24, 120))
        self.seen = ""
        self._read = 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWN_TERMINAL, *command],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env=environment(TERM="xterm", **more),
        )
        os.close(other)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._own)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._own, text.encode())

    def until(self, text: str, seconds: float = SECONDS) -> None:
        """Wait for a text after the one waited for last."""
        self._look(lambda: text in self.seen[self._read :], seconds, text)
        self._read = self.seen.index(text, self._read) + len(text)

    def ended(self, seconds: float = SECONDS) -> int:
        """Its exit status, when it has ended by itself."""
        self._look(lambda: False, seconds, "the end")
        return self.process.wait(seconds)

    def interrupted(self, seconds: float = SECONDS) -> int:
        """Its exit status after Ctrl-C.

        Pressed again while it goes on: one that arrives after Python last looked for signals, and before the read of
        the answer has begun, is acted upon only when that read ends.
        """
        for _ in range(round(seconds / 2)):
            self.type("\x03")
            try:
                return self.ended(2)
            except pytest.fail.Exception:
                continue
        return self.ended(0)

    def _look(self, found: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as ready:
            ready.register(self._own, selectors.EVENT_READ)
            while not found():
                if not ready.select(max(0, deadline - time.monotonic())):
                    pytest.fail(f"not within {seconds:g} s: {what!r}; seen: {self.seen!r}")
                try:
                    piece = os.read(self._own, 65536)
                except OSError:  # Linux: the other end is closed
                    piece = b""
                if not piece:
                    if what == "the end":
                        return
                    pytest.fail(f"it ended without {what!r}; seen: {self.seen!r}")
                self.seen += piece.decode("utf-8", "replace")
