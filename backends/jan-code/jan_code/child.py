"""The process of one assistant's code: loads `index.py`, tells its tools, and carries out calls. Standard library only.

What it is told and answers is described in `jan_code.frames`; calls and runs come one at a time, and what belongs to
the requests of a run in between.

The code runs in the main thread, as it would alone. What it prints goes to stderr; the channel to the server is moved
to numbers of its own, so that a stray write meets the log.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from jan_code.describing import BadArgument, Tool, run_of, tools_of
from jan_code.frames import Frames, NoFrame, pack
from jan_code.holding import limit
from jan_code.pipe import Pipe
from jan_code.plain import text_of
from jan_code.running import Context, Send, Telling, run

MODULE = "index"
"""The name that the assistant's code has as a module."""
LONGEST = 1 << 28
"""Bytes of a message from the server."""
READ = 1 << 16


def main() -> None:
    """Serve until the server is gone."""
    incoming, outgoing = _take_channel()
    writing = threading.Lock()  # the code may have threads, and tell of a step in one

    def send(message: dict[str, Any]) -> None:
        with writing:
            _write(outgoing, pack(message))

    work = Work(send)
    threading.Thread(target=_listen, args=(incoming, work.take), daemon=True, name="jan").start()
    work.serve()


def _take_channel() -> tuple[int, int]:
    """Move the channel off stdin and stdout; returns where it is, to read and to write."""
    incoming, outgoing = os.dup(0), os.dup(1)  # not inherited by programs that the code starts
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return incoming, outgoing


def _listen(incoming: int, take: Callable[[dict[str, Any]], None]) -> None:
    """Hand on what the server sends. Once the server is gone, so is this process, whatever the code is at."""
    frames = Frames(LONGEST)
    try:
        while data := os.read(incoming, READ):
            for message in frames.feed(data):
                take(message)
    except (OSError, NoFrame):
        pass
    gone()


def gone() -> None:
    """End this process, and what it started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def _write(outgoing: int, data: bytes) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(outgoing, rest) :]
    except OSError:
        gone()


class Work:
    """The assistant's code.

    Args:
        send: sends a message to the server.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._given: dict[str, Any] = {}
        self._tools: dict[str, Tool] = {}
        self._run: Callable[..., Any] | None = None
        self._runner: asyncio.Runner | None = None
        self._pipe: Pipe | None = None
        self._asked: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def take(self, message: dict[str, Any]) -> None:
        """Take what the server sent. Called in another thread."""
        if "call" in message or "run" in message or "load" in message:
            self._asked.put(message)
        elif (pipe := self._pipe) is not None:
            pipe.take(message)

    def serve(self) -> None:
        """Do what the server asks, one thing after another, for ever."""
        self._given = self._asked.get()["load"]
        limit(self._given)
        self._send(self.load())
        while True:
            asked = self._asked.get()
            self._send(self.run(asked["run"]) if "run" in asked else self.call(asked["call"]))

    def load(self) -> dict[str, Any]:
        """Run `index.py`; returns what to answer."""
        index = self._given["index"]
        # The folder itself first, as with `python index.py`; then what was installed for it.
        sys.path[:0] = [self._given["src"]]
        sys.path += self._given["packages"]
        sys.dont_write_bytecode = True
        try:
            spec = importlib.util.spec_from_file_location(MODULE, index)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[MODULE] = module
            spec.loader.exec_module(module)
            self._run = run_of(module)
            self._tools, told = tools_of(module)
        except BaseException as error:
            return {"broken": fault(error, self._given["src"])}
        return {"tools": [one.described for one in self._tools.values()], "told": told, "run": self._run is not None}

    def call(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Carry out a call; returns what to answer."""
        number, name = asked["number"], asked["name"]
        try:
            output = self._output(name, asked["arguments"])
        except BadArgument as error:
            return {"number": number, "error": str(error)}
        except BaseException as error:
            found = fault(error, self._given["src"])
            place = f" ({os.path.basename(found['file'])}, line {found['line']})" if found["line"] else ""
            return {"number": number, "error": found["error"] + place}
        finally:
            _flush()
        if len(output.encode("utf-8", "surrogatepass")) > self._given["output"]:
            return {"number": number, "error": f"{name} gave more than {self._given['output']} bytes"}
        return {"number": number, "output": output}

    def run(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Carry out the assistant's own `run`; returns what to answer when all that it says has been told."""
        try:
            # A loop of its own: what a run leaves behind goes with it.
            with asyncio.Runner() as runner:
                runner.run(self._told(asked["context"]))
        except BaseException as error:
            return {"number": asked["number"], **fault(error, self._given["src"])}
        finally:
            self._pipe = None
            _flush()
        return {"number": asked["number"], "output": ""}

    async def _told(self, given: dict[str, Any]) -> None:
        assert self._run is not None, "the server asks for a run where there is one"
        longest = self._given["output"]
        self._pipe = Pipe(self._send, self._given["requests"], longest)
        telling = Telling(self._send, longest)
        await run(self._run, Context(given, self._pipe, telling), telling)

    def _output(self, name: str, arguments: str) -> str:
        tool = self._tools.get(name)
        if tool is None:
            raise BadArgument(f"there is no function {name}")
        given = tool.function(**tool.arguments(arguments))
        if inspect.isawaitable(given):
            given = self._awaited(given)
        return text_of(given)

    def _awaited(self, given: Any) -> Any:
        async def whole() -> Any:
            return await given

        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(whole())


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # the code may have closed it, or put anything in its place
            continue


def fault(error: BaseException, src: str) -> dict[str, Any]:
    """Where the code failed, and with what: file and line of the last place in `src`, and the error's last line."""
    file, line = "", 0
    try:
        if isinstance(error, SyntaxError) and error.filename:
            file, line = error.filename, error.lineno or 0
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.filename.startswith(src + os.sep) and not isinstance(error, SyntaxError):
                file, line = frame.filename, frame.lineno or 0
        last = traceback.format_exception_only(error)[-1].strip()
        if type(error).__module__.startswith("jan_code."):
            last = str(error)
    except BaseException:  # its own text may fail, too
        last = type(error).__name__
    return {"file": file, "line": line, "error": last[:1000]}
