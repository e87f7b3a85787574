"""The whole of an import: models first, then assistants, then threads, so that what is named is there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jan_core.errors import InvalidRequest, JanError
from jan_core.folder.calls import DISK
from jan_core.folder.layout import ASSISTANTS, Layout
from jan_core.folder.names import is_name
from jan_core.folder.objects import Damaged
from jan_core.importing.assistants import as_assistant
from jan_core.importing.messages import ARRAY, LINES
from jan_core.importing.models import read_model
from jan_core.importing.placing import OF_ASSISTANT, OF_THREAD, place_files, place_instructions, place_model
from jan_core.importing.reading import Unreadable, read_object
from jan_core.importing.report import Item, Kind, Report
from jan_core.importing.source import ASSISTANT, Source, listed, look
from jan_core.importing.storing import PROTECTED, store_assistant, store_conversation
from jan_core.importing.threads import THREAD, Names, embedded_assistants, read_conversation
from jan_core.importing.values import as_name, text
from jan_core.schemas.pages import PageQuery

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.pull.progress import Progress
    from jan_core.schemas.threads import Thread


AT_ONCE = 8
"""Threads that are brought side by side."""


class Import:
    """One run: `models`, then `conversations`. `report` says at any time what was done so far.

    It may be stopped anywhere. The next run goes on where this one stopped: what is here already is not brought twice.

    Args:
        root: Jan's own root.
        folder: the foreign root; it is only read.
        copy: copy files of models also where a second name (a hard link) could be made.
        dry_run: write nothing, and report what would be done.
        progress: told of every step.

    Raises:
        InvalidRequest: the folder is no root, or Jan's own.
    """

    def __init__(self, root: Path, folder: Path, *, copy: bool, dry_run: bool, progress: Progress) -> None:
        self._layout = Layout(root)
        self._copy = copy
        self._dry = dry_run
        self._progress = progress
        self._source: Source = look(folder, root)
        self._called: dict[str, str] = {}
        self.report = Report(self._source.folder, dry_run, stopped=True)

    def models(self) -> None:
        """Bring the models. Blocks; what fails is told in the report, and costs that one model only."""
        names: dict[Path, dict[str, str]] = {}
        for below, folder in self._source.models:
            model = read_model(folder, below, self._source.folder)
            place = self._models_place(folder)
            taken = names.setdefault(place, {})
            name = as_name(model.known_as[0], taken)
            item = self._begin("model", name, folder, model.known_as[0])
            if model.damaged is not None:
                _tell(item, model.damaged)
                continue
            if not model.files:
                item.outcome, item.why = "left out", "no file of it is there"
                continue
            taken[name.lower()] = model.known_as[0]
            self._called = dict.fromkeys(model.known_as, name) | self._called
            item.notes += model.notes
            try:
                place_model(place, model, name, item, self._copy, self._dry, self._progress)
            except OSError as error:
                _fail(item, error)

    def _models_place(self, folder: Path) -> Path:
        """Where a model is brought: to the assistant of the name that it belonged to, else to the root's models."""
        parts = folder.relative_to(self._source.folder).parts
        if parts[0] == ASSISTANTS and is_name(parts[1]):
            twins = [name for name in listed(self._layout.assistants) if name.lower() == parts[1].lower()]
            if twins in ([], [parts[1]]):
                return Path(self._layout.assistant_models(parts[1]))
        return Path(self._layout.root) / "models"

    async def conversations(self, jan: Jan) -> None:
        """Bring the assistants and the threads; what fails is told in the report, and costs that one thing only.

        Args:
            jan: the running app of this root.
        """
        assistants, instructions = await self._assistants(jan)
        await self._threads(jan, Names(assistants, self._called, instructions))
        self.report.stopped = False

    async def _assistants(self, jan: Jan) -> tuple[dict[str, str], dict[str, str | None]]:
        """Bring the assistants, also those that only threads describe; return their names and instructions."""
        called: dict[str, str] = {}
        here = {name.lower(): name for name in await _known_assistants(jan)}
        taken: dict[str, str] = {}
        instructions: dict[str, str | None] = {}
        for foreign, raw, path in self._described():
            if foreign in called:
                continue
            name = as_name(foreign, taken)
            if here.get(name.lower(), name) != name:  # a twin but for capitals, which goes with nobody
                name = as_name(foreign, {name.lower(): ""})
            called[foreign] = name
            taken[name.lower()] = foreign
            item = self._begin("assistant", name, path, foreign)
            if isinstance(raw, Unreadable):
                _tell(item, raw)
                continue
            instructions[foreign] = text(raw.get("instructions"))
            names = Names(models=self._called)
            assistant = as_assistant(raw, name, int(path.stat().st_mtime), names, item.notes)
            try:
                await store_assistant(jan, assistant, item, self._dry)
                if path.name == ASSISTANT and item.outcome != "skipped":
                    place = Path(self._layout.assistant_folder(name))
                    place_files(path.parent, OF_ASSISTANT, place, item, self._dry)
                    item.notes += [f"{name}/ was left out: there is no such thing here" for name in _left(path.parent)]
            except (JanError, OSError) as error:
                _fail(item, error)
        return called, instructions

    def _described(self) -> Iterator[tuple[str, Mapping[str, Any] | Unreadable, Path]]:
        """Every assistant of the foreign root, those with a folder first."""
        for folder in self._source.assistants:
            try:
                yield folder.name, read_object(folder / ASSISTANT), folder / ASSISTANT
            except Unreadable as error:
                yield folder.name, error, folder / ASSISTANT
        for folder in self._source.threads:
            try:
                raw = read_object(folder / THREAD)
            except Unreadable:
                continue  # told when the thread itself is read
            for foreign, one in embedded_assistants(raw):
                # A thread in Jan's own format names its assistants, and describes none; `jan` is always here.
                if foreign != PROTECTED and one.keys() - {"assistant_id", "id", "model"}:
                    yield foreign, one, folder / THREAD

    async def _threads(self, jan: Jan, names: Names) -> None:
        sizes = [sum(_size(folder / name) for name in (ARRAY, LINES)) + 1 for folder in self._source.threads]
        self._progress.start(f"{len(sizes)} threads", sum(sizes))
        rest = zip(self._named_threads(), sizes, strict=True)

        async def work() -> None:
            for (folder, item), size in rest:
                await self._thread(jan, folder, item, names)
                self._progress.advance(size)

        # Most of the time each waits for the disk to confirm a message.
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    def _named_threads(self) -> Iterator[tuple[Path, Item]]:
        seen: dict[str, str] = {}
        for folder in self._source.threads:
            thread_id = as_name(folder.name, seen)
            seen.setdefault(thread_id.lower(), folder.name)
            yield folder, self._begin("thread", thread_id, folder, folder.name)

    async def _thread(self, jan: Jan, folder: Path, item: Item, names: Names) -> None:
        try:
            found = read_conversation(folder, item.id, names)
            item.problems, item.notes = found.problems, found.notes
            made = self._make_place(folder, item, found.thread, names)
            try:
                await store_conversation(jan, found, item, self._dry)
            finally:
                if made is not None:
                    _remove_empty(made)
            if item.outcome != "skipped":
                place = Path(self._layout.thread_folder(item.id))
                place_files(folder, OF_THREAD, place, item, self._dry)
                if found.instructions is not None:
                    place_instructions(self._layout, item.id, found.instructions, item, self._dry)
        except Unreadable as error:
            _tell(item, error)
        except (JanError, OSError, Damaged) as error:
            _fail(item, error)

    def _make_place(self, folder: Path, item: Item, thread: Thread, names: Names) -> str | None:
        """Make the folder of a thread in the home that it had there; its messages, which come first, go where it is."""
        layout, parts = self._layout, [*folder.parent.relative_to(self._source.folder).parts]
        first = thread.assistants[0].assistant_id if thread.assistants else PROTECTED
        if os.path.isdir(layout.thread_folder(thread.id)):
            return None
        if parts[0] == ASSISTANTS:
            parts[1] = names.assistants.get(parts[1], parts[1])
        try:
            home = layout.new_location("ROOT/" + "/".join(parts), first if is_name(first) else PROTECTED)
        except InvalidRequest:
            item.notes.append(f"it does not lie in {'/'.join(parts)} here: that can be no place for threads")
            return None
        try:
            usual = layout.home(first)
        except InvalidRequest:
            usual = ""
        if home == usual == layout.threads or self._dry:
            return None
        layout.make_home(home)
        path = os.path.join(home, thread.id)
        layout.make_folder(path)
        return path

    def _begin(self, kind: Kind, name: str, path: Path, foreign: str) -> Item:
        item = Item(kind, name, "skipped", path, why="it was not finished")
        if name != foreign:
            item.notes.append(f"its id {foreign!r} became {name!r}")
        self.report.items.append(item)
        return item


async def _known_assistants(jan: Jan) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page = await jan.assistants.list(PageQuery(limit=100, after=after))
        found += [one.id for one in page.data]
        if not page.has_more or page.last_id is None:
            return found
        after = page.last_id


def _left(folder: Path) -> list[str]:
    """Folders of a foreign assistant that are not brought, although there is something in them."""
    return [name for name in ("memory",) if listed(folder / name)]


def _remove_empty(folder: str) -> None:
    try:
        DISK.rmdir(folder)
    except OSError:  # the thread is in it
        pass


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _tell(item: Item, wrong: Unreadable) -> None:
    item.outcome, item.why, item.path, item.line = "skipped", wrong.why, wrong.path, wrong.line


def _fail(item: Item, error: JanError | OSError | Damaged) -> None:
    told = str(error)
    if isinstance(error, JanError):
        told = error.message
    elif isinstance(error, OSError) and error.filename is not None:
        told = f"{error.filename}: {error.strerror or error}"
    item.outcome, item.why = "skipped", f"it was not taken: {told}"
