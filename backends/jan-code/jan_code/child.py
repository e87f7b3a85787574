"""The process of one assistant's code: loads `index.py`, tells its tools, and carries out calls. Standard library only.

One message comes in first, `load`, then calls, one at a time:

    {"load": {"index", "src", "packages", "memory", "file", "processes", "output"}}
        -> {"tools": [...], "told": [...]}  or  {"broken": {"file", "line", "error"}}
    {"call": {"number", "name", "arguments"}}
        -> {"number", "output"}  or  {"number", "error"}

The code runs in the main thread, as it would alone. What it prints goes to stderr; the channel to the server is moved
to numbers of its own, so that a stray write meets the log.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import importlib.util
import inspect
import json
import os
import queue
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any

from jan_code.describing import BadArgument, Tool, tools_of
from jan_code.frames import Frames, NoFrame, pack

MODULE = "index"
"""The name that the assistant's code has as a module."""
LONGEST = 1 << 28
"""Bytes of a message from the server."""
READ = 1 << 16


def main() -> None:
    """Serve until the server is gone."""
    incoming, outgoing = _take_channel()
    messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(incoming, messages.put), daemon=True, name="jan").start()

    def send(message: dict[str, Any]) -> None:
        _write(outgoing, pack(message))

    work = Work(messages.get()["load"])
    send(work.load())
    while True:
        send(work.call(messages.get()["call"]))


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
    """The assistant's code, loaded.

    Args:
        given: what `load` says.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._tools: dict[str, Tool] = {}
        self._runner: asyncio.Runner | None = None
        limit(given)

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
            self._tools, told = tools_of(module)
        except BaseException as error:
            return {"broken": fault(error, self._given["src"])}
        return {"tools": [one.described for one in self._tools.values()], "told": told}

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
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except Exception:  # the code may have closed it, or put anything in its place
                    continue
        if len(output.encode("utf-8", "surrogatepass")) > self._given["output"]:
            return {"number": number, "error": f"{name} gave more than {self._given['output']} bytes"}
        return {"number": number, "output": output}

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


def text_of(value: Any) -> str:
    """What a function gave, as text for the model: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, set | frozenset | tuple | types.GeneratorType):
        return list(value)
    return str(value)


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
    except BaseException:  # its own text may fail, too
        last = type(error).__name__
    return {"file": file, "line": line, "error": last[:1000]}


def limit(given: dict[str, Any]) -> None:
    """Set the limits that the system holds: memory, the size of a file, open files, processes, no core dumps."""
    try:
        import resource
    except ImportError:  # Windows has none of them
        return
    wanted = {"RLIMIT_AS": given["memory"], "RLIMIT_FSIZE": given["file"], "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 256}
    if given["processes"]:
        wanted["RLIMIT_NPROC"] = given["processes"]
    for name, most in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):  # macOS refuses RLIMIT_AS
            continue
