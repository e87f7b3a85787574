"""Where things lie in the root: the one place that makes paths of ids.

    threads/<thread-id>/                        threads of all assistants, unless an assistant says otherwise
    assistants/<assistant-id>/                  an assistant
    assistants/<assistant-id>/threads/<id>/     threads of its own
    assistants/<assistant-id>/models/<id>/      models of its own

A folder that holds threads is called a home of threads. An assistant's `thread_location` names the home of its new
threads; a thread is found in whatever home it lies: besides those that the assistants name, every home in which a
thread was ever made is noted (`jan_core.folder.homes`).
"""

from __future__ import annotations

import os
import stat
import sys
import time
from pathlib import Path

from jan_core.errors import InvalidRequest
from jan_core.folder.calls import DISK
from jan_core.folder.homes import ASSISTANTS as ASSISTANTS
from jan_core.folder.homes import THREADS, NotedHomes, clash, location_fault, parts_of
from jan_core.folder.names import check_name, is_name
from jan_core.folder.objects import Damaged, read_values
from jan_core.folder.signature import Signature, is_folder, is_settled, signature

ASSISTANT_FILE = "assistant.json"
"""The name of an assistant's file."""
DEFAULT_LOCATION = "ROOT/threads"
"""Where threads lie if their assistant says nothing."""
WATCHED = 64
"""So many assistants are looked at anew for every listing of threads; of more, as a whole, every `TRUSTED` seconds."""
TRUSTED = 2.0
REMEMBERED = 1024
"""Folders of which it is remembered that their names are on the disk."""

_Seen = tuple[Signature | None, Signature | None]


class Layout:
    """The paths of one root. Nothing is made; what does not exist has a path all the same.

    It may be used by several threads at once. All methods look at a few names on the disk at most.

    Args:
        root: the root folder; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = os.path.abspath(root)
        self.threads = os.path.join(self.root, THREADS)
        self.assistants = os.path.join(self.root, ASSISTANTS)
        self._threads_slash = self.threads + os.sep
        self._known: dict[str, tuple[_Seen, bool, list[str]]] = {}
        self._homes: tuple[str, ...] = (self.threads,)
        self.noted = NotedHomes(self.root)
        self._noted: tuple[str, ...] = ()
        self._lasting: set[str] = set()
        self._looked = -TRUSTED

    def thread_folder(self, thread_id: str) -> str:
        """The folder of a thread: where one of this id lies, else where it would lie in the root's `threads/`.

        Of two homes that hold the same id the root's counts, then the first by path.

        Raises:
            InvalidRequest: the id cannot be a name; code `invalid_id`.
        """
        path = self.new_thread_folder(thread_id)
        if is_folder(path):
            return path
        for home in self.homes()[1:]:
            other = os.path.join(home, thread_id)
            if is_folder(other):
                return other
        return path

    def new_thread_folder(self, thread_id: str) -> str:
        """Where a thread lies whose folder is in the root's `threads/`: the first that counts, looked for or not.

        Raises:
            InvalidRequest: the id cannot be a name; code `invalid_id`.
        """
        return self._threads_slash + check_name(thread_id, param="thread_id")

    def assistant_folder(self, assistant_id: str) -> str:
        """The folder of an assistant.

        Raises:
            InvalidRequest: the id cannot be a name; code `invalid_id`.
        """
        return os.path.join(self.assistants, check_name(assistant_id, param="assistant_id"))

    def assistant_models(self, assistant_id: str) -> str:
        """The folder of the models that belong to an assistant.

        Raises:
            InvalidRequest: the id cannot be a name; code `invalid_id`.
        """
        return os.path.join(self.assistant_folder(assistant_id), "models")

    def home(self, assistant_id: str) -> str:
        """The home of new threads of an assistant: what its `thread_location` says, else the root's `threads/`.

        Raises:
            InvalidRequest: the id cannot be a name; or `thread_location` leads out of the root, or a file
                is on the way there.
        """
        path = os.path.join(self.assistant_folder(assistant_id), ASSISTANT_FILE)
        try:
            location = read_values(path).get("thread_location")
        except (OSError, Damaged):
            return self.threads
        try:
            home = self.location(location, assistant_id)
            self._check_way(home, location)
            return home
        except InvalidRequest as error:
            raise InvalidRequest(f"{path}: {error.message}", param="assistants", code=error.code) from None

    def location(self, location: object, assistant_id: str) -> str:
        """The folder that a `thread_location` means.

        Args:
            location: `ROOT/threads`, another path from the root, or `threads` for the one in the assistant's folder;
                None for the default.
            assistant_id: a checked name.

        Raises:
            InvalidRequest: it is no such path; param `thread_location`, code `invalid_location`.
        """
        if location is None or location == DEFAULT_LOCATION:
            return self.threads
        if location == THREADS:
            return os.path.join(self.assistants, assistant_id, THREADS)
        fault = location_fault(location)
        if fault is None and isinstance(location, str):
            return os.path.join(self.root, *parts_of(location))
        raise _refused(location, f"{fault}.")

    def new_location(self, location: object, assistant_id: str) -> str:
        """As `location`, of one that is to be set: also refused where it clashes with what is there. Blocks.

        Args:
            location: see `location`.
            assistant_id: a checked name; what this assistant says up to now does not count.

        Raises:
            InvalidRequest: as `location`; or a file is on the way there; or another home lies in it, around it, or
                differs from it in upper and lower case only.
        """
        path = self.location(location, assistant_id)
        self._check_way(path, location)
        self._looked = -TRUSTED
        self.homes()
        said = [home for name, (_, _, homes) in self._known.items() if name != assistant_id for home in homes]
        other = clash(self.shown(path), [*map(self.shown, said), *self._noted])
        if other is not None:
            raise _refused(location, f"and threads lie in `ROOT/{other}`, or will: one cannot be inside the other.")
        return path

    def note_home(self, assistant_id: str) -> None:
        """Note where threads of an assistant lie up to now, before its `thread_location` changes or it goes. Blocks.

        Raises:
            OSError: it cannot be noted.
        """
        try:
            path = self.home(assistant_id)
            if path != self.threads and is_folder(path):
                self.make_home(path)
        except InvalidRequest:
            pass

    def homes(self) -> tuple[str, ...]:
        """All homes of threads as they are now: the root's first, then the others that exist, by path."""
        now = time.monotonic()
        noted = self.noted.names()
        if len(self._known) > WATCHED and now - self._looked < TRUSTED and noted == self._noted:
            return self._homes
        try:
            names = [name for name in os.listdir(self.assistants) if is_name(name)]
        except OSError:
            names = []
        known = {name: self._home_of(name, self._known.get(name)) for name in names}
        said = {path for _, _, homes in known.values() for path in homes}
        others = said.union(os.path.join(self.root, *parts_of(name)) for name in noted) - {self.threads}
        self._known, self._noted, self._looked = known, noted, now
        self._homes = (self.threads, *sorted(path for path in others if is_folder(path)))
        return self._homes

    def make_home(self, path: str) -> None:
        """Make a home of threads durably, and note it, so that what is made in it is found for ever. Blocks.

        Args:
            path: what `home` or `location` returned.

        Raises:
            InvalidRequest: see `check_writable`.
            OSError: it cannot be made, or not be noted.
        """
        name = self.shown(path)
        if name != THREADS and not name.startswith(ASSISTANTS + "/") and name not in self.noted.names():
            self.make_folder(self.threads)
            self.noted.add(name)
        self.make_folder(path)
        if path not in self._homes:
            self._looked = -TRUSTED

    def shown(self, path: str) -> str:
        """A path below the root as people write it: `threads/<id>/model.json`."""
        return os.path.relpath(path, self.root).replace(os.sep, "/")

    def check_writable(self, path: str) -> None:
        """Return where writing at `path` stays in the root, whatever links lie on the way; what is missing is fine.

        Raises:
            InvalidRequest: it would not; code `outside_root`.
        """
        rest = path[len(self.root) :]
        if path.startswith(self.root) and rest[:1] == os.sep:
            if sys.platform != "win32" and not self._has_link(rest):
                return
            if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root)):
                return
        raise InvalidRequest(
            f"{path} leads out of the root {self.root}, and is not written to. Move what it leads to into the root, or "
            "take the link away.",
            code="outside_root",
        )

    def make_folder(self, path: str) -> None:
        """Make a folder of the root durably, and those above it that are missing. Nothing where it is there. Blocks.

        Raises:
            InvalidRequest: see `check_writable`.
            OSError: it cannot be made.
        """
        there = is_folder(path)
        if there and path in self._lasting:
            return
        if path != self.root:
            self.check_writable(path)
        parent = os.path.dirname(path)
        if parent != path:
            self._make_above(parent)
        if not there:
            try:
                DISK.mkdir(path)
            except FileExistsError:
                if not is_folder(path):
                    raise
        try:
            # Also where it was there: who made it may have been killed, or have failed, before its name was flushed.
            DISK.sync_folder(parent)
        except PermissionError:
            if not there:
                raise
        if len(self._lasting) >= REMEMBERED:
            self._lasting.clear()
        self._lasting.add(path)

    def _check_way(self, path: str, location: object) -> None:
        while path not in (self.threads, self.root):
            if os.path.lexists(path) and not is_folder(path):
                raise _refused(location, f"and {path} is no folder.")
            path = os.path.dirname(path)

    def _make_above(self, parent: str) -> None:
        if len(parent) >= len(self.root):
            self.make_folder(parent)
        elif not is_folder(parent):
            self._make_above(os.path.dirname(parent))
            try:
                DISK.mkdir(parent)
            except FileExistsError:
                pass
            DISK.sync_folder(os.path.dirname(parent))

    def _has_link(self, rest: str) -> bool:
        path = self.root
        for part in rest.split(os.sep)[1:]:
            path += os.sep + part
            try:
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    return True
            except OSError:
                # What is not there cannot lead anywhere, nor can anything below it.
                return False
        return False

    def _home_of(self, name: str, before: tuple[_Seen, bool, list[str]] | None) -> tuple[_Seen, bool, list[str]]:
        """What an assistant's folder was like, whether a later change must show, and the homes that it brings."""
        now = time.time_ns()
        folder = os.path.join(self.assistants, name)
        path = os.path.join(folder, ASSISTANT_FILE)
        seen = (signature(folder), signature(path))
        if before is not None and before[1] and before[0] == seen:
            return before
        homes = [os.path.join(folder, THREADS)]
        if seen[1] is not None:
            try:
                homes.append(self.location(read_values(path).get("thread_location"), name))
            except (OSError, Damaged, InvalidRequest):
                pass
        return seen, all(is_settled(one, now) for one in seen), homes


def _refused(location: object, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"`thread_location` is {ascii(location)[:200]}, {why} Write `ROOT/threads`, another path from the root "
        "such as `work/threads`, or `threads` for a folder in the assistant's own.",
        param="thread_location",
        code="invalid_location",
    )
