"""The assistants endpoint on folders: every reply says what the folder holds at that moment."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import anyio.to_thread
from typing_extensions import override

from jan_assistants_json.document import (
    DEFAULT,
    MODEL,
    assistant_of,
    default_values,
    own_settings,
    settings_beside,
)
from jan_assistants_json.files import AssistantFiles
from jan_assistants_json.lines import exported, restoring
from jan_core.endpoints.assistants import Assistants
from jan_core.errors import Conflict, InvalidRequest, JanError, NotFound
from jan_core.folder.calls import DISK
from jan_core.folder.catalogue import Catalogue
from jan_core.folder.faults import answered
from jan_core.folder.fields import updated
from jan_core.folder.homes import THREADS
from jan_core.folder.keys import KeptReplies
from jan_core.folder.layout import ASSISTANT_FILE, Layout
from jan_core.folder.locks import FOLDER as LOCKS
from jan_core.folder.locks import Locks
from jan_core.folder.names import check_name, is_name
from jan_core.folder.objects import read_object, values_there, write_object
from jan_core.folder.records import Record
from jan_core.folder.removal import BIN, empty_bin, hide_folder
from jan_core.folder.shelf import Asked, Shelf, Unread
from jan_core.idempotency import once
from jan_core.ids import new_id, now
from jan_core.schemas.assistants import (
    Assistant,
    AssistantDeleted,
    AssistantPage,
    AssistantRequest,
    AssistantUpdate,
)
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.settings import SettingsLayer

if TYPE_CHECKING:
    from jan_core.app import Jan

log = logging.getLogger("jan")

READERS = 4
"""Threads that read, at most."""
WRITERS = 4
"""Threads that write, at most."""

T = TypeVar("T")


class AssistantsJson(Assistants):
    """Assistants in folders, each with an `assistant.json`; a folder copied in is one.

    Args:
        jan: gives the root, and the models, of which the first one answers where an assistant names none.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._layout = Layout(jan.root)
        self._locks = Locks(Path(self._layout.root))
        self._files = AssistantFiles(self._layout)
        self._kept = KeptReplies(self._layout)
        self._readers = anyio.CapacityLimiter(READERS)
        self._writers = anyio.CapacityLimiter(WRITERS)
        news = os.path.join(self._layout.root, LOCKS, "assistants.news")
        homes = (self._layout.assistants,)
        self._catalogue = Catalogue(lambda: homes, ASSISTANT_FILE, _no_time, self._files.time_made, self._locks, news)
        self._shelf: Shelf[Assistant] = Shelf(self._catalogue, self._is_there, self._readers)

    @override
    async def __aenter__(self) -> Self:
        try:
            await self._write(self._prepare)
        except (OSError, JanError) as error:
            # A root that cannot be written to can still be read.
            log.warning("the default assistant could not be made: %s", error)
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._kept.settled()
        await self._shelf.__aexit__(kind, error, traceback)

    @override
    async def create(self, body: AssistantRequest) -> Assistant:
        if body.thread_location is not None:
            await self._read(self._layout.new_location, body.thread_location, DEFAULT)

        async def new() -> dict[str, Any]:
            return Assistant.of(body, id=new_id("asst_"), created_at=now()).model_dump(mode="json")

        async def make(reply: dict[str, Any]) -> None:
            await self._write(self._store, Assistant.model_validate(reply), set(Assistant.model_fields))

        asked = once("assistants.create", body)
        with answered("The assistant was not made"):
            reply = await self._kept.once(asked, new=new, is_made=self._was_made, make=make)
        return Assistant.model_validate(reply)

    @override
    async def list(self, query: PageQuery) -> AssistantPage:
        asked = Asked(query.limit, query.order, query.after, query.before)
        with answered("The assistants cannot be listed"):
            await self._made_again()
            leaf = await self._shelf.page(asked, partial(self._files.look, learn=self._catalogue.learn))
        if not all(one.model for one in leaf.items):
            first = await self._first_model()
            for one in leaf.items:
                one.model = one.model or first
        return AssistantPage(data=leaf.items, first_id=leaf.first, last_id=leaf.last, has_more=leaf.has_more)

    @override
    async def retrieve(self, assistant_id: str) -> Assistant:
        with answered(_which(assistant_id, "cannot be read"), param="assistant_id"):
            return await self._shown((await self._find(assistant_id)).item())

    @override
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        check_name(assistant_id, param="assistant_id")
        if body.thread_location is not None:
            await self._read(self._layout.new_location, body.thread_location, assistant_id)
        with answered(_which(assistant_id, "was not changed"), param="assistant_id"):
            if assistant_id == DEFAULT:
                await self._made_again()
            return await self._shown(await self._write(self._update, assistant_id, body))

    @override
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        check_name(assistant_id, param="assistant_id")
        with answered(_which(assistant_id, "was not deleted"), param="assistant_id"):
            await self._find(assistant_id)
            if assistant_id == DEFAULT:
                raise InvalidRequest(
                    "The assistant 'jan' is always there and cannot be deleted; it can be modified.",
                    param="assistant_id",
                    code="protected_assistant",
                )
            await self._write(self._delete, assistant_id)
        return AssistantDeleted(id=assistant_id, deleted=True)

    @override
    async def put(self, assistant: Assistant) -> None:
        check_name(assistant.id, param="assistant_id")
        with answered(_which(assistant.id, "was not stored"), param="assistant_id"):
            await self._write(self._store, assistant, set(Assistant.model_fields))

    @override
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        def look() -> list[bytes]:
            found = (exported(id, self._layout.assistant_folder(id)) for id in ids if is_name(id))
            return [line for line in found if line is not None]

        with answered("The assistants cannot be read"):
            return await self._read(look)

    @override
    async def restore(self, lines: Sequence[bytes]) -> None:
        for assistant, write in restoring(lines):
            with answered(_which(assistant.id, "was not stored"), param="assistant_id"):
                await self._write(self._put, assistant, write)

    @override
    async def layers(self, assistant_id: str) -> Sequence[SettingsLayer]:
        with answered(_which(assistant_id, "cannot be read"), param="assistant_id"):
            record = await self._find(assistant_id)
            try:
                return self._layers(assistant_id, record.folder, at_once=True)
            except BlockingIOError:
                return await self._read(self._layers, assistant_id, record.folder)

    async def _find(self, assistant_id: str) -> Record[Assistant]:
        try:
            record = self._files.find_at_once(assistant_id)
        except Unread:
            record = await self._read(partial(self._files.find, assistant_id, may_read=True))
        if record is None:
            if assistant_id == DEFAULT and await self._made_again():
                return await self._find(assistant_id)
            raise _not_found(assistant_id)
        return record

    async def _made_again(self) -> bool:
        """Make the default assistant where somebody removed its file while this runs; False where it was not made."""
        if not self._lacks_default():
            return False
        try:
            await self._write(self._prepare)
        except (OSError, JanError):
            return False
        return not self._lacks_default()

    def _lacks_default(self) -> bool:
        path = os.path.join(self._layout.assistants, DEFAULT, ASSISTANT_FILE)
        return not os.path.lexists(path) and os.path.isdir(self._layout.root)

    async def _shown(self, assistant: Assistant) -> Assistant:
        if not assistant.model:
            assistant.model = await self._first_model()
        return assistant

    async def _first_model(self) -> str:
        """The model that answers where an assistant names none; an empty string where none is installed."""
        if "models" not in self._jan.endpoints:
            return ""
        try:
            listed = (await self._jan.models.list()).data
        except JanError:
            return ""
        return str(listed[0].id) if listed else ""

    def _prepare(self) -> None:
        """Make the default assistant where there is none, and finish deletions that were interrupted."""
        folder = self._layout.assistant_folder(DEFAULT)
        path = os.path.join(folder, ASSISTANT_FILE)
        if not os.path.lexists(path):
            self._layout.make_folder(folder)
            self._layout.check_writable(path)
            with self._locks.hold(f"assistant {DEFAULT}"):
                # Another process may have made it, and somebody have changed it since.
                if not os.path.lexists(path):
                    write_object(path, default_values())
        if os.path.isdir(os.path.join(self._layout.assistants, BIN)):
            empty_bin(self._layout.assistants)

    def _store(self, assistant: Assistant, names: set[str]) -> None:
        """Write the named fields into the file, and leave alone what else is in it."""
        self._put(assistant, lambda path: self._write_values(path, assistant, names))

    def _put(self, assistant: Assistant, write: Callable[[str], None]) -> None:
        """Have the file of an assistant written, in a folder that is made where there is none."""
        folder = self._layout.assistant_folder(assistant.id)
        path = os.path.join(folder, ASSISTANT_FILE)
        new = not os.path.exists(path)
        if new:
            self._layout.make_folder(self._layout.assistants)
            self._layout.check_writable(folder)
            with self._catalogue.changing(self._layout.assistants, assistant.id, assistant.created_at):
                try:
                    DISK.mkdir(folder)
                except FileExistsError:
                    pass
            DISK.sync_folder(self._layout.assistants)
        self._layout.check_writable(path)
        try:
            with self._locks.hold(f"assistant {assistant.id}"):
                write(path)
        except OSError:
            if new:
                self._break_off(folder)
            raise
        self._files.drop(assistant.id)

    def _break_off(self, folder: str) -> None:
        """Leave no empty folder; one that is not empty is shown by `jan doctor`."""
        try:
            DISK.rmdir(folder)
        except OSError:
            pass

    def _write_values(self, path: str, assistant: Assistant, names: set[str]) -> None:
        write_object(path, updated(values_there(path) or {}, assistant, names))

    def _update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        if "thread_location" in body.model_fields_set:
            # Not with the assistant's lock: two locks at a time can be one and the same.
            self._layout.note_home(assistant_id)
        with self._locks.hold(f"assistant {assistant_id}"):
            record = self._files.find(assistant_id, may_read=True)
            if record is None:
                raise _not_found(assistant_id)
            assistant = record.item().changed(body)
            path = os.path.join(record.folder, ASSISTANT_FILE)
            self._layout.check_writable(path)
            try:
                self._write_values(path, assistant, set(body.model_fields_set))
            except FileNotFoundError:
                # Somebody took the folder away meanwhile.
                raise _not_found(assistant_id) from None
        found = self._files.find(assistant_id, may_read=True)
        return assistant if found is None else found.item()

    def _delete(self, assistant_id: str) -> None:
        folder = self._layout.assistant_folder(assistant_id)
        with self._locks.hold(f"assistant {assistant_id}"):
            if not os.path.exists(os.path.join(folder, ASSISTANT_FILE)):
                raise _not_found(assistant_id)
            kept = self._own_threads(folder)
            if kept and not os.path.islink(folder):
                raise Conflict(
                    f"The assistant {assistant_id!r} holds threads in its folder, such as {kept!r}. Delete them first, "
                    f"or move them out of {os.path.join(folder, THREADS)}.",
                    param="assistant_id",
                    code="assistant_has_threads",
                )
        self._layout.note_home(assistant_id)
        with self._catalogue.changing(self._layout.assistants, assistant_id, None):
            try:
                hide_folder(self._layout, folder)
            except FileNotFoundError:
                raise _not_found(assistant_id) from None
        self._files.drop(assistant_id)
        try:
            empty_bin(self._layout.assistants, assistant_id)
        except OSError:
            # It is out of sight; the next start tries again.
            pass

    def _own_threads(self, folder: str) -> str | None:
        """One of the threads that the assistant's own folder holds; None where there are none."""
        try:
            with os.scandir(os.path.join(folder, THREADS)) as entries:
                return next((entry.name for entry in entries if is_name(entry.name) and entry.is_dir()), None)
        except OSError:
            return None

    def _layers(self, assistant_id: str, folder: str, *, at_once: bool = False) -> Sequence[SettingsLayer]:
        path, model = os.path.join(folder, ASSISTANT_FILE), os.path.join(folder, MODEL)
        values, _, content = read_object(path, at_once=at_once)
        assistant = assistant_of(assistant_id, path, values, content, None)
        found = [(path, own_settings(assistant, values))]
        try:
            beside, _, content = read_object(model, at_once=at_once)
            found.append((model, settings_beside(model, beside, content)))
        except FileNotFoundError:
            pass
        return [SettingsLayer(origin=self._layout.shown(where), values=one) for where, one in found if one]

    def _was_made(self, reply: dict[str, Any]) -> bool:
        assistant_id = str(reply.get("id"))
        if not self._is_there(assistant_id):
            return False
        # Who made it may have been killed before its name was on the disk.
        DISK.sync_folder(self._layout.assistant_folder(assistant_id))
        return True

    def _is_there(self, assistant_id: str) -> bool:
        return os.path.exists(os.path.join(self._layout.assistant_folder(assistant_id), ASSISTANT_FILE))

    async def _read(self, function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._readers)

    async def _write(self, function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments, limiter=self._writers)


def _no_time(name: str) -> None:
    """The id of an assistant does not tell when it was made."""


def _which(assistant_id: str, what: str) -> str:
    return f"The assistant {ascii(assistant_id)[:200]} {what}"


def _not_found(assistant_id: str) -> NotFound:
    return NotFound(f"There is no assistant {assistant_id!r}.", param="assistant_id", code="assistant_not_found")
