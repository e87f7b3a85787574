"""The log: lines that a thread writes, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jan_audit_log import spare
from jan_audit_log.file import LogFile
from jan_audit_log.settings import Settings
from jan_audit_log.spare import LARGEST, Spare
from jan_audit_log.writer import Entry, Writer
from jan_core.backend import Backend
from jan_core.errors import InvalidRequest
from jan_core.folder.layout import Layout
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan
    from jan_core.endpoint import Operation

MOST = 10_000
"""Lines that wait for a disk, at most; further ones are counted as lost."""
PAUSE = 0.1
"""Seconds for which lines are collected before the thread is woken: waking it costs more than what it does."""
STOP_SECONDS = 5.0
"""How long the server's stop waits for the last lines."""


class AuditLog(Backend):
    """The log of one app. A backend, so that it is one, and is closed when the app is.

    Raises:
        Refusal: the file would not be in the root, or what is to be left out is no endpoint and no operation.
    """

    name: ClassVar[str] = "audit-log"
    settings_model: ClassVar[type[BaseModel]] = Settings

    def __init__(self, settings: Any, jan: Jan) -> None:
        super().__init__(settings, jan)
        self.required: bool = settings.required
        self._left_out = frozenset(settings.leave_out)
        self._check_left_out()
        path = log_path(jan.root, settings.file)
        if path is None:
            where = jan.config.where(self.name, "file")
            cause = f"that is not in the root {jan.root}, or a link on the way leads out of it"
            raise Refusal(f"[{self.name}] file = {settings.file!r} ({where})", cause, 'Write "logs/audit.jsonl".')
        self.path = path
        rotate = settings.rotate_mib << 20
        file = LogFile(jan.root, path, fsync=settings.fsync, rotate_bytes=rotate, keep=settings.keep)
        self._writer = Writer(file)
        self._spare: Spare | None = None
        self._wants_spare = not settings.fsync and spare.is_possible()
        self._open: deque[bytes] = deque()
        self._fresh: list[bytes] = []
        self._settled = 0
        self._gone = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[tuple[float, asyncio.Future[bool]]] = deque()

    async def __aenter__(self) -> Self:
        if spare.leftovers(self.path):
            self._writer.take_over(self.path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tick()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        whole = await self._writer.stop(STOP_SECONDS)
        if self._spare is not None:
            self._spare.close(remove=whole)
            self._spare = None

    def wants(self, operation: Operation) -> bool:
        """Whether an operation writes, by its HTTP method, and nobody wants it left out."""
        writes = operation.method is not None and operation.method not in ("GET", "HEAD", "OPTIONS")
        return writes and not self._left_out & {operation.endpoint.name, operation.qualified}

    def put(self, line: bytes) -> None:
        """Write a line some milliseconds later."""
        if not self.collect(line):
            self._hand_over()
            self._writer.add(Entry([line]), MOST)

    async def written(self, line: bytes, *, begins: bool = False) -> bool:
        """Write a line, and return when it is safe: from this process's end, or where `fsync` is set from a power cut.

        Args:
            line: one line of JSON, its end included.
            begins: whether what it tells is only begun once it is written; such a line is not written later.

        Returns:
            Whether it is known to be safe, or, of one that begins something, written; after `wait_seconds` at the
            latest. A line that is not, and does not begin anything, is kept, and written once that works again.
        """
        if not begins and self.collect(line):
            return True
        loop = asyncio.get_running_loop()
        told: asyncio.Future[bool] = loop.create_future()
        self._hand_over()
        if not self._writer.add(Entry([line], told=told, begins=begins), MOST):
            return False
        self._waiting.append((loop.time() + self.settings.wait_seconds, told))
        if len(self._waiting) == 1:
            loop.call_later(self.settings.wait_seconds, self._release)
        return await told

    def collect(self, line: bytes) -> bool:
        """Put a line where it outlives this process, to be written with others; False where that is not possible.

        Args:
            line: one line of JSON, its end included.
        """
        if len(self._open) >= MOST:
            self._writer.refused += 1
            return True
        memory = self._spare or self._new_spare()
        if memory is None or not memory.add(line):
            return False
        self._open.append(line)
        self._fresh.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._tick)
        return True

    def _new_spare(self) -> Spare | None:
        """Memory that outlives this process, made with the first line; None where there is none."""
        if self._wants_spare:
            try:
                self._spare = Spare(self.path)
            except OSError:
                self._wants_spare = False
        return self._spare

    def _hand_over(self) -> None:
        """Give the thread what was collected."""
        if self._fresh:
            lines, self._fresh = self._fresh, []
            self._writer.add(Entry(lines, kept_elsewhere=True))

    def _tick(self) -> None:
        """Give the thread what was collected, and forget what it has written; again, as long as there is something."""
        self._timer = None
        busy = bool(self._fresh)
        self._hand_over()
        settled = self._writer.settled
        for _ in range(settled - self._settled):
            self._open.popleft()
        self._gone += settled - self._settled
        self._settled = settled
        largest = LARGEST if self._open else 0
        if self._spare is not None and self._spare.size > largest and self._gone > len(self._open):
            self._spare.keep(self._open)
            self._gone = 0
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(PAUSE if busy else 5 * PAUSE, self._tick)

    def _release(self) -> None:
        """Let go on whoever has waited long enough. One timer for all is cheaper than one each."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= now):
            told = self._waiting.popleft()[1]
            if not told.done():
                told.set_result(False)
        if self._waiting:
            loop.call_later(self._waiting[0][0] - now, self._release)

    def _check_left_out(self) -> None:
        endpoints = self.jan.discovery.endpoints
        # Only classes that a left-out name speaks of are imported.
        kinds = [endpoints[name] for name in endpoints if any(one.startswith(f"{name}.") for one in self._left_out)]
        known = [*endpoints, *(one.qualified for kind in kinds for one in kind.operations().values())]
        for name in sorted(self._left_out.difference(known)):
            asked = f"[{self.name}] leave_out = {name!r} ({self.jan.config.where(self.name, 'leave_out')})"
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            remedy = f"{hint}Write an endpoint ({', '.join(endpoints)}), or an operation, such as 'chat.create'."
            raise Refusal(asked, "there is no endpoint and no operation of that name", remedy)


def log_path(root: Path, file: str) -> str | None:
    """Where the log is; None where that would be outside of the root.

    Args:
        root: the root folder.
        file: the setting: a path from the root, or an absolute one.
    """
    layout = Layout(root)
    path = os.path.normpath(os.path.join(layout.root, file))
    try:
        layout.check_writable(path)
    except InvalidRequest:
        return None
    return path
