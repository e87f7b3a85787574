"""The runs of one root: what is done to their files under the lock of their thread. Everything here blocks."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.folder.calls import DISK
from jan_core.folder.keys import KeptReplies
from jan_core.folder.layout import Layout
from jan_core.folder.locks import PATIENCE, Locked, Locks
from jan_core.folder.removal import remove_folder
from jan_core.folder.shelf import Unread
from jan_core.idempotency import Once
from jan_core.schemas.runs import KeptRun
from jan_runs_json.files import ReadRun, RunFiles
from jan_runs_json.names import RunNames
from jan_runs_json.running import RunningNotes
from jan_runs_json.waiting import WaitingRuns

log = logging.getLogger("jan")

Known = Callable[[str], RunNames | None]
"""Gives the names of the runs in a folder, where somebody keeps them."""


class RunRoot:
    """The runs of one root. May be used by several threads, and processes, at once.

    Args:
        root: the root folder.
        names: is told of every run that is written.

    Attributes:
        beside: runs what can be done at the same time, and waits for no lock; None does one after the other.
    """

    def __init__(self, root: Path, names: Known) -> None:
        self.layout = Layout(root)
        self.locks = Locks(Path(self.layout.root))
        self.files = RunFiles(self.layout)
        self.notes = RunningNotes(self.layout)
        self._kept = KeptReplies(self.layout)
        self._known = names
        self.beside: Executor | None = None
        self._waiting = WaitingRuns(self.files)
        self._told: dict[str, str] = {}

    def names(self, folder: str) -> RunNames:
        """The names of the runs in a folder, as far as they are known; otherwise some that nobody keeps."""
        known = self._known(folder)
        return RunNames(folder, lambda path: None) if known is None else known

    def begin(self, kept: KeptRun, path: str, asked: Once | None) -> KeptRun:
        """As `RunStore.begin`.

        Args:
            kept: the run.
            path: where its file is to be.
            asked: the wish that the request be done once.

        Raises:
            Conflict, InvalidRequest: as there.
            Locked, OSError: it was not begun.
        """
        run = kept.run
        self.layout.check_writable(os.path.dirname(path))
        with self.locks.hold(run.thread_id):
            if asked is not None:
                first = self._repeated(run.thread_id, asked)
                if first is not None:
                    return first
            active = self.active(run.thread_id, may_read=True)
            if active is not None:
                raise InvalidRequest(
                    f"The thread {run.thread_id!r} has a run that has not ended, {active.run.id!r}: wait for its end, "
                    "or cancel it.",
                    param="thread_id",
                    code="run_active",
                )
            self._store_first(kept, path, asked)
        return kept

    def _store_first(self, kept: KeptRun, path: str, asked: Once | None) -> None:
        """Store a new run with its note, its folder and its key: what can be flushed at one time is."""
        run, folder = kept.run, os.path.dirname(path)
        self._make_soon(folder)
        self.notes.add(run.thread_id, run.id)
        flushes: list[Callable[[], object]] = [self.notes.flush, partial(self.layout.make_folder, folder)]
        if asked is not None:
            # The reply is the run alone; what a repeated request needs no more would be on the disk twice.
            reply = KeptRun(run=run).model_dump(mode="json")
            flushes.append(partial(self._kept.begin, asked.key, asked.fingerprint, reply))
        with self._together(flushes) as flushed:
            try:
                # A run that lasts while its note, or its key, does not, would go on for nobody, or be begun twice.
                with self.names(folder).changing(run.id, run.created_at):
                    self.files.write(kept, path, before=flushed)
            except BaseException:
                # What is in place without being flushed was not begun either.
                for undo in (partial(DISK.unlink, path), partial(self.notes.remove, run.thread_id)):
                    try:
                        undo()
                    except OSError:
                        pass
                raise

    def _make_soon(self, folder: str) -> None:
        """Make a folder whose name is flushed later; durably where those above it are missing, too."""
        try:
            DISK.mkdir(folder)
        except FileExistsError:
            pass
        except FileNotFoundError:
            self.layout.make_folder(folder)

    @contextmanager
    def _together(self, work: Sequence[Callable[[], object]]) -> Iterator[Callable[[], None]]:
        """Do things beside the block, which gets a function that waits for them, and raises what they raise.

        When the block has been left none of them is under way.
        """
        begun: list[Future[object]] = []

        def done() -> None:
            for one in begun or work:
                one.result() if isinstance(one, Future) else one()

        if self.beside is not None:
            begun = [self.beside.submit(one) for one in work]
        try:
            yield done
        finally:
            wait(begun)

    def begun(self, asked: Once) -> KeptRun | None:
        """As `RunStore.begun`.

        Raises:
            Conflict: as there.
            Locked, OSError: it cannot be told.
        """
        note = self._kept.find(asked.key)
        if note is None:
            return None
        try:
            thread_id = KeptRun.model_validate(note.reply).run.thread_id
        except ValueError:
            return None
        with self.locks.hold(thread_id):  # who is beginning it may not have come to its end
            return self._repeated(thread_id, asked)

    def _repeated(self, thread_id: str, asked: Once) -> KeptRun | None:
        """What was kept under a key; None where nothing was, or the attempt broke off before the run was there."""
        note = self._kept.find(asked.key)
        if note is None:
            return None
        asked.check(note.fingerprint)
        try:
            first = KeptRun.model_validate(note.reply)
            path = self.files.path(thread_id, first.run.id)
        except (ValueError, JanError):
            return None
        if not os.path.exists(path):
            return None
        # Who wrote them may have been killed before their names were on the disk.
        self._kept.secure(asked.key)
        DISK.sync_folder(os.path.dirname(path))
        return first

    def enter(
        self,
        thread_id: str,
        run_id: str,
        path: str,
        entered: list[AbstractContextManager[None]],
        *,
        at_once: bool = False,
    ) -> ReadRun:
        """Take the thread's lock, and read a run under it.

        Args:
            thread_id: the thread.
            run_id: the run.
            path: of its file.
            entered: gets the lock; whoever calls this leaves it, also where this raises.
            at_once: raise `Unread` rather than wait for the lock or the disk: for the event loop.

        Returns:
            What was read; its run is there.

        Raises:
            NotFound: there is no such run.
            Damaged: it cannot be read.
            Locked, OSError: the lock cannot be had.
            Unread: see `at_once`.
        """
        self.layout.check_writable(path)
        lock = self.locks.hold(thread_id, patience=0 if at_once else PATIENCE)
        try:
            lock.__enter__()
        except Locked:
            if at_once:
                raise Unread from None
            raise
        entered.append(lock)
        found = self.files.find(thread_id, run_id, may_read=not at_once, at_once=True)
        if found is None:
            raise _not_found(thread_id, run_id)
        found.item()
        return found

    def store(
        self,
        kept: KeptRun,
        path: str,
        *,
        found: ReadRun | None = None,
        lasting: bool = True,
        whole: dict[str, Any] | None = None,
    ) -> None:
        """Write a run, and see to its note. The thread's lock is held.

        Args:
            kept: the run.
            path: of its file. The folder must exist.
            found: what was read of it under this lock; None where nothing was.
            lasting: see `replace_file`.
            whole: see `RunFiles.write`.

        Raises:
            Damaged, Oversized, OSError: it was not written; see `RunFiles.write`.
        """
        run, folder = kept.run, os.path.dirname(path)
        noted = self.notes.find(run.thread_id, may_read=True)
        if not run.ended and noted is None:
            self._note(run.thread_id, run.id)
        with self.names(folder).changing(run.id, run.created_at):
            self.files.write(kept, path, found=found, lasting=lasting, whole=whole)
        if run.ended and noted == run.id:
            try:
                self.notes.remove(run.thread_id)
            except OSError:
                pass  # what its file says counts; whoever finds the note removes it

    def tidy(self, thread_id: str, run_id: str, path: str) -> None:
        """Bring the note of a thread in step with one of its runs.

        Raises:
            Locked, OSError: it could not be done.
            InvalidRequest: the path leads out of the root.
        """
        self.layout.check_writable(path)
        with self.locks.hold(thread_id):
            found = self.files.find(thread_id, run_id, may_read=True)
            noted = self.notes.find(thread_id, may_read=True)
            goes_on = found is not None and found.kept is not None and not found.kept.run.ended
            if not goes_on and noted == run_id:
                self.notes.remove(thread_id)
            elif goes_on and noted != run_id and self.active(thread_id, may_read=True) is None:
                self._note(thread_id, run_id)

    def withdraw(self, thread_id: str, run_id: str, path: str) -> None:
        """As `RunStore.withdraw`.

        Args:
            thread_id: the thread.
            run_id: the run.
            path: of its file.

        Raises:
            Locked, OSError: it may still be there.
            InvalidRequest: the path leads out of the root.
        """
        self.layout.check_writable(path)
        with self.locks.hold(thread_id):
            self.files.drop(path)
            try:
                DISK.unlink(path)
            except FileNotFoundError:
                return
            DISK.sync_folder(os.path.dirname(path))  # a key is known as long as its run is there
            if self.notes.find(thread_id, may_read=True) == run_id:
                self.notes.remove(thread_id)

    def clear(self, thread_id: str, folder: str) -> None:
        """Remove the runs of a thread, its note, and its folder where nothing else is in it.

        Raises:
            Locked, OSError: a part of it is still there.
            InvalidRequest: the folder leads out of the root.
        """
        with self.locks.hold(thread_id):
            self.notes.remove(thread_id)
            above = os.path.dirname(folder)
            if not os.path.isdir(above) or os.path.islink(above):
                return  # what lies behind a link is not the thread's: its deletion takes the link away
            self.layout.check_writable(above)
            if not os.path.lexists(folder):
                return
            remove_folder(folder)
            try:
                DISK.rmdir(above)
            except OSError:  # the thread itself is kept in it
                return
            DISK.sync_folder(os.path.dirname(above))

    def left(self) -> list[tuple[str, str]]:
        """Thread and run of every note whose run is gone, or can be read and does not wait, or has waited too long."""
        noted = []
        for thread_id in self.notes.threads():
            run_id = self.notes.find(thread_id, may_read=True)
            if run_id == "":
                run_id = self._mended(thread_id)
            if run_id is not None:
                noted.append((thread_id, run_id))
        return [ids for ids in self._waiting.others(noted) if not self._is_damaged(*ids)]

    def _is_damaged(self, thread_id: str, run_id: str) -> bool:
        """Whether a run cannot be read, which nobody can carry on until somebody mends it; told once in the log."""
        try:
            found = self.files.find(thread_id, run_id, may_read=True)
        except (JanError, OSError):
            return False  # whoever asks for it is told
        damage = None if found is None or found.damage is None else str(found.damage)
        if damage is not None and self._told.get(run_id) != damage:
            log.warning("the run %s had not ended, and goes on when its file is mended: %s", run_id, damage)
        if damage is None:
            self._told.pop(run_id, None)
        else:
            self._told[run_id] = damage
        return damage is not None

    def _mended(self, thread_id: str) -> str | None:
        """The run that a damaged note is about; the note says it again, or is gone."""
        with self.locks.hold(thread_id):
            run_id = self.notes.find(thread_id, may_read=True)
            if run_id != "":
                return run_id
            run_id = self._lost(thread_id)
            if run_id is None:
                self.notes.remove(thread_id)
            else:
                self._note(thread_id, run_id)
            return run_id

    def active(self, thread_id: str, *, may_read: bool) -> KeptRun | None:
        """The run of a thread that has not ended, for nobody to change; None where there is none.

        Args:
            thread_id: a checked name.
            may_read: whether it may wait for the disk to read files.

        Raises:
            Unread: it would have to.
            OSError: one cannot be read.
        """
        run_id = self.notes.find(thread_id, may_read=may_read)
        if run_id == "":
            if not may_read:
                raise Unread
            run_id = self._lost(thread_id)
        if run_id is None:
            return None
        found = self.files.find(thread_id, run_id, may_read=may_read, at_once=True)
        # A damaged one costs itself alone.
        return None if found is None or found.kept is None or found.kept.run.ended else found.kept

    def _note(self, thread_id: str, run_id: str) -> None:
        self.notes.add(thread_id, run_id)
        self.notes.flush()

    def _lost(self, thread_id: str) -> str | None:
        """The newest run of a thread that has not ended, where the note says only that there may be one."""
        names = self.names(self.files.folder(thread_id))
        names.refresh(again=True)
        for run_id in names.names(None, None, len(names), newest_first=True):
            found = self.files.find(thread_id, run_id, may_read=True)
            if found is not None and found.kept is not None and not found.kept.run.ended:
                return run_id
        return None


def _not_found(thread_id: str, run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id!r} in the thread {thread_id!r}.", param="run_id", code="run_not_found")
