"""The worker process: one loaded model, spoken to in frames over stdin and stdout.

It runs `python -m jan_llamacpp.worker`. Its end is the parent's end: when stdin closes, it exits at once. llama.cpp
opens an HTTP server of its own that this process has no use for: it is put on a socket in a private folder (on
Windows on a loopback port), behind a random key, so that nobody else can reach the model through it.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jan_llamacpp import wire
from jan_llamacpp.template import HarmfulTemplate, check

TEMPLATE_MEMORY = 1 << 30
"""Bytes that looking at a template may take on top, where the system can limit it."""
REQUEST_MEMORY = 4 << 30
"""Bytes that a loaded worker may grow by, where the system can limit it."""
READ_PER_SECOND = 128 << 10
"""Bytes of a request that are rendered and cut into tokens in a second of CPU time at the very least."""


class Worker:
    """The frames' other end.

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
        self._pool: ThreadPoolExecutor | None = None
        self._server: Any = None
        self._template_seconds = 2.0
        self._frames = wire.Frames(self._take)

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
        self.send(wire.FATAL, request, json.dumps({"code": code, "message": message}).encode())
        os._exit(3)

    def _take(self, kind: int, request: int, payload: bytes) -> None:
        if kind == wire.LOAD:
            self._load(json.loads(payload))
        elif kind == wire.CANCEL:
            self._cancelled.add(request)
        elif kind == wire.REQUEST and self._pool is not None:
            self._pool.submit(self._answer, request, payload)

    def _load(self, given: dict[str, Any]) -> None:
        self.send(wire.STARTED, 0)
        self._template_seconds = given["template_seconds"]
        if given.get("chat_template"):
            limit = _limit_memory(TEMPLATE_MEMORY)
            try:
                check(given["chat_template"])
            except HarmfulTemplate as error:
                self.fatal(0, "harmful_template", f"the model's chat template is refused: {error}")
            _restore_memory(limit)
        self.send(wire.CHECKED, 0)
        try:
            self._server = _open(given)
        except Exception as error:  # llama.cpp says why on stderr, and raises without a reason
            self.fatal(0, "load_failed", str(error))
        _limit_memory(REQUEST_MEMORY)
        self._pool = ThreadPoolExecutor(given["slots"] * 4, thread_name_prefix="request")
        threading.Thread(target=self._watch_templates, daemon=True).start()
        self.send(wire.READY, 0, json.dumps({"slots": given["slots"]}).encode())

    def _answer(self, request: int, body: bytes) -> None:
        """Run one request in a thread of the pool. The engine calls back with each piece, as JSON."""
        thread = threading.get_ident()
        allowed = self._template_seconds + len(body) / READ_PER_SECOND
        self._silent[request] = (thread, _thread_seconds(thread) + allowed)
        cancelled, silent = self._cancelled, self._silent

        def on_piece(piece: bytes) -> bool:
            silent.pop(request, None)
            if request in cancelled:
                return True
            self.send(wire.EVENT, request, piece)
            return request in cancelled

        error = b""
        try:
            if request not in cancelled:
                self._server.handle_chat_completions(body, on_piece)
        except MemoryError:
            error = json.dumps({"code": "out_of_memory", "message": "the request needed too much memory"}).encode()
        except Exception as problem:
            error = json.dumps({"code": "request_failed", "message": str(problem)}).encode()
        finally:
            silent.pop(request, None)
            cancelled.discard(request)
            self.send(wire.END, request, error)

    def _watch_templates(self) -> None:
        """End the process where a request has computed for too long before it reached the engine's queue.

        The request's own thread renders the template and then waits: its CPU time is the template's.
        """
        while True:
            time.sleep(0.25)  # noqa: TID251 - a watchdog's period, in a thread of its own
            for request, (thread, until) in list(self._silent.items()):
                if request in self._silent and _thread_seconds(thread) > until:
                    message = "the model's chat template took too long for these messages, so its worker was ended"
                    self.fatal(request, "template_timeout", message)


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


def _open(given: dict[str, Any]) -> Any:
    """Load the model with llama.cpp's own server object."""
    import xllamacpp  # type: ignore[import-untyped]

    params = xllamacpp.CommonParams()
    params.model.path = given["path"]
    params.n_parallel = given["slots"]
    params.n_ctx = given["context"] * given["slots"]
    params.n_batch = params.n_ubatch = given["batch"]
    params.n_gpu_layers = given["gpu_layers"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given["threads"]
    params.cache_ram_mib = given["prompt_cache_mib"]
    params.fit_params = False
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = 1
    if given.get("chat_template_override"):
        params.chat_template = given["chat_template_override"]
    if given.get("mmproj"):
        params.mmproj.path = given["mmproj"]
    params.api_keys = [secrets.token_urlsafe(32)]
    if sys.platform != "win32":
        # mkdtemp makes a folder that only this user can enter.
        folder = tempfile.mkdtemp(prefix="jan-")
        params.hostnames = [os.path.join(folder, "engine.sock")]
    server = xllamacpp.Server(params)
    if sys.platform != "win32":
        os.unlink(params.hostnames[0])
        os.rmdir(folder)
    return server


def _die_with_parent() -> None:
    """Have Linux end this process with the server, also while a model loads and nobody reads stdin."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG of prctl(2)


def main() -> None:
    """Run the worker on this process's stdin and stdout; what anything else prints goes to stderr."""
    write = os.dup(1)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(0, os.O_BINARY)
        msvcrt.setmode(write, os.O_BINARY)
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the whole group; the server decides
    _die_with_parent()
    Worker(0, write).serve()


if __name__ == "__main__":
    main()
