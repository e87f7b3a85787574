"""The worker's side: a process with one loaded model, spoken to in frames over stdin and stdout.

Its end is the parent's end: when stdin closes, it exits at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jan_workers import wire

CHECK_MEMORY = 1 << 30
"""Bytes that looking at what a model brings may take on top, where the system can limit it."""
REQUEST_MEMORY = 4 << 30
"""Bytes that a loaded worker may grow by, where the system can limit it."""
LEAST_PAUSE = 0.05
"""Seconds between two looks at a request whose time is almost up."""


class Refused(Exception):
    """What a model brings, or a request asks, is refused; `code` is the error's code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Child(ABC):
    """An engine's worker: it loads one model and answers requests, each in a thread of its own.

    Args:
        read: file descriptor frames come from.
        write: file descriptor frames go to.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read = read
        self._write = write
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._silent: dict[int, tuple[int, float]] = {}  # request to its thread, and the CPU time it has until then
        self._look = threading.Event()  # set when a silent request begins, or is found to be overdue
        self._pool: ThreadPoolExecutor | None = None
        self._frames = wire.Frames(self._take)

    def check(self, given: dict[str, Any]) -> None:  # noqa: B027 - not every engine's models bring something
        """Look at what the model brings besides numbers, before it is opened; time and memory are limited.

        Args:
            given: what the engine's `parameters` returned.

        Raises:
            Refused: it must not be run.
        """

    @abstractmethod
    def open(self, given: dict[str, Any]) -> None:
        """Load the model; any exception's text is the reason why that failed.

        Raises:
            Refused: something that it brings is wrong, and no other file of the model would help.
        """

    @abstractmethod
    def answer(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        """Do a task.

        Args:
            task: what to do, such as `chat`.
            body: what the task takes, JSON.
            on_piece: takes each piece of the answer, JSON; returns True where the caller has left: stop then.

        Raises:
            Refused: the request's own fault, such as a template that cannot render its messages.
            Exception: the engine's.
        """

    def patience(self, body: bytes) -> float | None:
        """Seconds of CPU time that the request's thread may take until its first piece; None is without end."""
        return None

    def overdue(self) -> None:
        """Have this process end: what the calling request's thread waits for has computed for too long."""
        thread = threading.get_ident()
        for request, (waiting, _) in list(self._silent.items()):
            if waiting == thread:
                self._silent[request] = (thread, -1.0)
                self._look.set()

    def serve(self) -> None:
        """Take frames until stdin ends, then leave the process at once."""
        while data := os.read(self._read, 1 << 16):
            self._frames.feed(data)
        os._exit(0)

    def send(self, kind: int, request: int, payload: bytes = b"") -> None:
        """Write one frame, whole, whatever thread this is."""
        data = memoryview(wire.pack(kind, request, payload))
        with self._lock:
            while data:
                data = data[os.write(self._write, data) :]

    def fatal(self, request: int, code: str, message: str) -> None:
        """Say why this process ends, and end it."""
        self.send(wire.FATAL, request, _told(code, message))
        os._exit(3)

    def _take(self, kind: int, request: int, payload: bytes) -> None:
        if kind == wire.LOAD:
            self._load(json.loads(payload))
        elif kind == wire.CANCEL:
            self._cancelled.add(request)
        elif kind == wire.PING:
            self.send(wire.PONG, 0)
        elif kind == wire.REQUEST and self._pool is not None:
            self.send(wire.TAKEN, request)
            task, _, body = payload.partition(b"\n")
            self._pool.submit(self._answer, request, task.decode(), body)

    def _load(self, given: dict[str, Any]) -> None:
        self.send(wire.STARTED, 0)
        limit = _limit_memory(CHECK_MEMORY)
        try:
            self.check(given)
        except Refused as refused:
            self.fatal(0, refused.code, str(refused))
        _restore_memory(limit)
        self.send(wire.CHECKED, 0)
        try:
            self.open(given)
        except Refused as refused:
            self.fatal(0, refused.code, str(refused))
        except Exception as error:  # many engines say why on stderr, and raise without a reason
            self.fatal(0, "load_failed", str(error))
        _limit_memory(REQUEST_MEMORY)
        self._pool = ThreadPoolExecutor(given["slots"] * 4, thread_name_prefix="request")
        threading.Thread(target=self._watch, daemon=True).start()
        self.send(wire.READY, 0, json.dumps({"slots": given["slots"]}).encode())

    def _answer(self, request: int, task: str, body: bytes) -> None:
        """Run one request in a thread of the pool."""
        cancelled, silent = self._cancelled, self._silent
        patience = self.patience(body)
        if patience is not None:
            thread = threading.get_ident()
            silent[request] = (thread, _thread_seconds(thread) + patience)
            self._look.set()

        def on_piece(piece: bytes) -> bool:
            silent.pop(request, None)
            if request in cancelled:
                return True
            self.send(wire.EVENT, request, piece)
            return request in cancelled

        error = b""
        try:
            if request not in cancelled:
                self.answer(task, body, on_piece)
        except Refused as refused:
            error = _told(refused.code, str(refused))
        except MemoryError:
            error = _told("out_of_memory", "the request needed too much memory")
        except Exception as problem:
            error = _told("request_failed", str(problem))
        finally:
            silent.pop(request, None)
            cancelled.discard(request)
            self.send(wire.END, request, error)

    def _watch(self) -> None:
        """End the process where a request has computed for too long before its first piece.

        A request's own thread renders the template and then waits for the engine: its CPU time is the template's. It
        never passes faster than the clock, so nothing needs to be looked at before what is left of it has passed.
        """
        pause: float | None = None
        while True:
            self._look.wait(pause)
            self._look.clear()
            left = []
            for request, (thread, until) in list(self._silent.items()):
                seconds = until - _thread_seconds(thread)
                if seconds < 0 and request in self._silent:
                    message = "the model's chat template took too long for these messages, so its worker was ended"
                    self.fatal(request, "template_timeout", message)
                left.append(seconds)
            pause = max(LEAST_PAUSE, min(left)) if left else None


def run(child: type[Child]) -> None:
    """Run a worker on this process's stdin and stdout; what anything else prints goes to stderr."""
    write = os.dup(1)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(0, os.O_BINARY)
        msvcrt.setmode(write, os.O_BINARY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the server decides
    _die_with_parent()
    child(0, write).serve()


def _told(code: str, message: str) -> bytes:
    return json.dumps({"code": code, "message": message}).encode()


def _thread_seconds(thread: int) -> float:
    """CPU seconds of a thread; where the system cannot tell (macOS, Windows), the clock, which is stricter."""
    clock_of = getattr(time, "pthread_getcpuclockid", None)
    if clock_of is None:
        return time.monotonic() / 5
    try:
        return time.clock_gettime(clock_of(thread))
    except OSError:
        return 0.0


def _limit_memory(more: int) -> tuple[int, int] | None:
    """Allow the process so many bytes of data more. Returns the limit before; None where it cannot be set."""
    try:
        import resource

        with open("/proc/self/status", encoding="ascii") as status:
            data = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
        before = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (data + more, before[1]))
    except (ImportError, OSError, StopIteration, ValueError):
        return None
    return before


def _restore_memory(limit: tuple[int, int] | None) -> None:
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, limit)


def _die_with_parent() -> None:
    """Have Linux end this process with the server, also while a model loads and nobody reads stdin."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG of prctl(2)
