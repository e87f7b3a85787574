"""Sees, refuses and stops the file calls of this process."""

from __future__ import annotations

import linecache
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jan_core.folder.calls import DISK
from jan_core.folder.locks import FOLDER as LOCKS
from tests.faults.disk import TOP, Answered, Began, Cut, Event, Flushed, Made, Moved, Removed, Wrote

_OURS = ("jan_core", "jan_assistants_json", "jan_messages_json", "jan_runs_json", "jan_threads_json")
CHANGING = ("create", "write", "truncate", "sync", "sync_folder", "replace", "chmod", "unlink", "mkdir", "rmdir")
"""The calls that change what is on the disk, or promise something of it."""


BEFORE = "before"
"""The site of what was flushed before anything was recorded."""


class Killed(BaseException):
    """The process ends here: no call after it reaches the disk."""


class Recorder:
    """Stands between this process and its disk.

    Nothing is really flushed while it does: that is the disk's part, which the test plays.

    Args:
        folder: the folder that is watched; calls outside of it go through unseen.
        patch: takes everything back when the test is over.

    Attributes:
        events: what happened so far.
        before: is called with the name of a call, its number, and for a write the descriptor, the data and the offset,
            before it is made; what it raises, the call raises.
        calls: how many changing calls there were.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = os.path.abspath(folder)
        self.events: list[Event] = []
        self.before: Callable[[str, int, tuple[Any, ...]], None] | None = None
        self.calls = 0
        self.dead = False
        self._lock = threading.RLock()
        self._next = TOP + 1
        self._names: dict[int, dict[str, int]] = {TOP: {}}
        self._open: dict[int, int] = {}
        others = ("open_to_change", "open_lock", "close", "set_time")
        self._real = {name: getattr(DISK, name) for name in (*CHANGING, *others)}
        for name in self._real:
            patch.setattr(DISK, name, getattr(self, f"_{name}"))
        self._real["open"] = DISK.open
        patch.setattr(DISK, "open", self._open_to_read)
        self.look_again()

    def look_again(self) -> None:
        """Take what is in the folder now for durable: somebody else, such as a person, wrote there and flushed it."""
        if self._open:
            raise AssertionError("files are open")
        self.events.clear()
        self._names = {TOP: {}}
        self._look(self.folder, TOP)
        self.events += [Flushed(node, BEFORE) for node in sorted(self._names)]

    def began(self, number: int) -> None:
        """A request begins."""
        with self._lock:
            self.events.append(Began(number))

    def answered(self, number: int, worked: bool = True) -> None:
        """A request is answered."""
        with self._lock:
            self.events.append(Answered(number, worked))

    def close_all(self) -> None:
        """Close what a killed process left open, as the system does."""
        with self._lock:
            for descriptor in [*self._open]:
                self._close(descriptor)

    def _look(self, path: str, folder: int) -> None:
        for entry in sorted(os.scandir(path), key=lambda one: one.name):
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name == LOCKS:
                self._made(folder, entry.name, True)
                continue
            node = self._made(folder, entry.name, is_folder)
            if is_folder:
                self._look(entry.path, node)
            else:
                with open(entry.path, "rb") as file:
                    self.events += [Wrote(node, 0, file.read()), Flushed(node, BEFORE)]

    def _made(self, folder: int, name: str, is_folder: bool) -> int:
        node, self._next = self._next, self._next + 1
        self._names[folder][name] = node
        if is_folder:
            self._names[node] = {}
        self.events.append(Made(folder, name, node, is_folder, unimportant=name == LOCKS))
        return node

    def _find(self, path: Any) -> tuple[int, str] | None:
        """The folder's number and the name; None where it is not watched."""
        whole = os.path.abspath(path)
        if not whole.startswith(self.folder + os.sep):
            return None
        *folders, name = whole[len(self.folder) + 1 :].split(os.sep)
        if LOCKS in folders:
            return None  # Nobody minds what is in there after a crash.
        node = TOP
        for part in folders:
            node = self._names[node][part]
        return node, name

    def _node(self, path: Any) -> int | None:
        if os.path.abspath(path) == self.folder:
            return TOP
        found = self._find(path)
        return None if found is None else self._names[found[0]][found[1]]

    def _ask(self, name: str, *arguments: Any) -> None:
        if self.dead:
            raise Killed
        number, self.calls = self.calls, self.calls + 1
        if self.before is not None:
            self.before(name, number, arguments)

    def _create(self, path: Any) -> int:
        with self._lock:
            self._ask("create", path)
            descriptor = int(self._real["create"](path))
            found = self._find(path)
            if found is not None:
                self._open[descriptor] = self._made(*found, False)
            return descriptor

    def _open_to_change(self, path: Any) -> int:
        with self._lock:
            if self.dead:
                raise Killed
            descriptor = int(self._real["open_to_change"](path))
            node = self._node(path)
            if node is not None:
                self._open[descriptor] = node
            return descriptor

    def _open_to_read(self, path: Any) -> int:
        with self._lock:
            descriptor = int(self._real["open"](path))
            try:
                node = self._node(path)
            except KeyError:  # behind a link
                node = None
            if node is not None:
                self._open[descriptor] = node
            return descriptor

    def _open_lock(self, path: Any) -> int:
        if self.dead:
            raise Killed
        return int(self._real["open_lock"](path))

    def _close(self, descriptor: int) -> None:
        with self._lock:
            self._open.pop(descriptor, None)
            self._real["close"](descriptor)

    def _write(self, descriptor: int, data: bytes, offset: int) -> None:
        with self._lock:
            self._ask("write", descriptor, data, offset)
            self.wrote(descriptor, bytes(data), offset)

    def wrote(self, descriptor: int, data: bytes, offset: int) -> None:
        """Really write; for a `before` that lets a part of a write through."""
        self._real["write"](descriptor, data, offset)
        if descriptor in self._open:
            self.events.append(Wrote(self._open[descriptor], offset, data))

    def _truncate(self, descriptor: int, size: int) -> None:
        with self._lock:
            self._ask("truncate", descriptor, size)
            self._real["truncate"](descriptor, size)
            if descriptor in self._open:
                self.events.append(Cut(self._open[descriptor], size))

    def _sync(self, descriptor: int) -> None:
        with self._lock:
            self._flush("sync", descriptor, self._open.get(descriptor))

    def _sync_folder(self, path: Any) -> None:
        with self._lock:
            os.stat(path)
            self._flush("sync_folder", path, self._node(path))

    def _flush(self, name: str, what: Any, node: int | None) -> None:
        if node is None:
            if not self.dead:
                self._real[name](what)
            return
        try:
            self._ask(name, what)
        except OSError:
            self.events.append(Flushed(node, _site(), worked=False))
            raise
        self.events.append(Flushed(node, _site()))

    def _replace(self, old: Any, new: Any) -> None:
        with self._lock:
            self._ask("replace", old, new)
            before, after = self._find(old), self._find(new)
            self._real["replace"](old, new)
            if before is None and after is None:
                return
            assert before is not None, f"{old} was moved in from outside of what is watched"
            assert after is not None, f"{new} was moved out of what is watched"
            node = self._names[before[0]].pop(before[1])
            self._names[after[0]][after[1]] = node
            self.events.append(Moved(*before, *after, node))

    def _set_time(self, descriptor: int, path: Any, moment: int) -> None:
        if self.dead:
            raise Killed
        self._real["set_time"](descriptor, path, moment)

    def _chmod(self, path: Any, mode: int) -> None:
        with self._lock:
            self._ask("chmod", path, mode)
            self._real["chmod"](path, mode)

    def _unlink(self, path: Any) -> None:
        self._remove("unlink", path)

    def _rmdir(self, path: Any) -> None:
        self._remove("rmdir", path)

    def _remove(self, name: str, path: Any) -> None:
        with self._lock:
            self._ask(name, path)
            self._real[name](path)
            found = self._find(path)
            if found is not None:
                self.events.append(Removed(*found, self._names[found[0]].pop(found[1])))

    def _mkdir(self, path: Any) -> None:
        with self._lock:
            self._ask("mkdir", path)
            self._real["mkdir"](path)
            found = self._find(path)
            if found is not None:
                self._made(*found, True)


def _site() -> str:
    """Where in the code under test we are: functions, the outermost first, and the line of the innermost."""
    frame = sys._getframe(1)
    found: list[str] = []
    line = ""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.split(".")[0] in _OURS:
            line = line or linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            found.append(f"{module.rpartition('.')[2]}.{frame.f_code.co_name}")
        elif found:
            break
        frame = frame.f_back  # type: ignore[assignment]
    return " > ".join([*reversed(found), line])
