"""The models endpoint on the folder `models/`: every reply says what the folder holds at that moment."""

from __future__ import annotations

import asyncio
import difflib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
from typing_extensions import override

from jan_core.endpoints.models import Models
from jan_core.errors import Conflict, InvalidRequest, ModelNotFound, NotSupported, Unavailable
from jan_core.folder.layout import Layout
from jan_core.folder.names import split_model_id
from jan_core.folder.signature import signature
from jan_core.schemas.models import Model, ModelDeleted, ModelList, ModelLocation
from jan_models_json.folder import Contents, Weights, read_folder
from jan_models_json.places import TRUSTED, AssistantsPlaces, Place
from jan_models_json.removal import clean, remove_files, remove_folder

READERS = 2
"""Threads that read changed files, at most."""
INLINE = 64
"""Up to so many folders are looked at without a thread: it takes less time than to hand it to one."""
COMPARED = 200
"""Ids that are searched for near misses, at most."""


_Rows = list[tuple[str, int, str]]


class _Folder:
    """A folder in `models/` and what it held when it was last read."""

    __slots__ = ("contents", "listed", "lock", "name", "path", "started")

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = path
        self.lock = anyio.Lock()
        self.contents = Contents([], False)
        self.started = self.listed = -TRUSTED

    def is_current(self, arrived: float, now: float) -> bool:
        """True where the contents are what a request that came at `arrived` must see."""
        contents = self.contents
        if not (contents.settled or self.started >= arrived):
            return False
        if now - self.listed > TRUSTED:
            try:
                if hash(tuple(os.listdir(self.path))) != contents.entries:
                    return False
            except OSError:
                return False
            self.listed = now
        return all(signature(path) == seen for path, seen in contents.seen)


class ModelsJson(Models):
    """Models in a folder of folders, each with a `model.json`, GGUF files, or both, and in those of assistants.

    A request looks at the times and sizes of the files, and opens those that changed.

    Args:
        folder: where the models' folders are; it need not exist.
        layout: of the root, for the models that belong to assistants; None for none of them.
    """

    def __init__(self, folder: Path, layout: Layout | None = None) -> None:
        self._layout = layout
        self._place = Place(str(folder))
        self._assistants = None if layout is None else AssistantsPlaces(layout)
        self._names: tuple[frozenset[str], dict[str, str]] = (frozenset(), {})
        self._limiter = anyio.CapacityLimiter(READERS)
        self._folders: dict[str, _Folder] = {}
        self._twins: dict[str, list[str]] = {}
        self._rows: _Rows | None = None
        self._looked: asyncio.Task[object] | None = None

    @override
    async def __aenter__(self) -> Self:
        def finish() -> None:
            for folder in [self._place.path, *(self._assistants.folders() if self._assistants is not None else [])]:
                clean(folder)

        await anyio.to_thread.run_sync(finish, limiter=self._limiter)
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._folders.clear()
        self._place.forget()
        self._names, self._rows = (frozenset(), {}), None

    @override
    async def list(self) -> ModelList:
        rows = await self._list()
        # Every reply gets objects of its own: a wrapper may change them.
        return ModelList(data=[Model(id=id, created=created, owned_by=owner) for id, created, owner in rows])

    @override
    async def retrieve(self, model: str) -> Model:
        weights = (await self._find(model))[1]
        return Model(id=model, created=weights.created, owned_by=weights.owned_by)

    @override
    async def locate(self, model: str) -> ModelLocation:
        contents, weights = await self._find(model)
        return ModelLocation(
            id=model,
            engine=weights.engine,
            path=weights.files[0],
            mmproj=contents.mmproj,
            size=weights.size,
            revision=weights.revision,
            settings=contents.description.settings,
            parameters=contents.description.parameters,
            metadata=weights.metadata,
        )

    @override
    async def delete(self, model: str) -> ModelDeleted:
        folder, stem = split_model_id(model) or ("", None)
        contents, weights = await self._find(model, damaged=True)
        path = self._folders[folder].path
        if stem is not None and weights is contents.models.get(None) and contents.description.first:
            raise NotSupported(
                f"{os.path.join(path, 'model.json')} names the file of `{model}` as the model's first source. "
                f"Name another one there, or delete `{folder}` as a whole.",
                param="model",
            )
        if self._layout is not None and os.path.dirname(path) != self._place.path:
            self._layout.check_writable(os.path.dirname(path))
        if stem is not None and os.path.islink(path):  # noqa: ASYNC240 - microseconds
            raise NotSupported(
                f"{path} is a link, and files behind a link are not deleted. Delete `{folder}` to remove the link.",
                param="model",
            )
        try:
            if stem is None:
                await anyio.to_thread.run_sync(remove_folder, path, limiter=self._limiter)
            else:
                await anyio.to_thread.run_sync(remove_files, weights.files, limiter=self._limiter)
            self._looked = None
        except FileNotFoundError:
            raise await self._not_found(model) from None
        except OSError as error:
            raise Conflict(f"`{model}` was not deleted: {error.filename or path}: {error.strerror}.") from error
        return ModelDeleted(id=model, deleted=True)

    async def _find(self, model: str, *, damaged: bool = False) -> tuple[Contents, Weights]:
        parts = split_model_id(model)
        self._look(parts[0] if parts else None)
        if parts is None or parts[0] not in self._folders:
            raise await self._not_found(model)
        await self._refresh([self._folders[name] for name in self._twins[parts[0].lower()]])
        folder = self._folders.get(parts[0])
        weights = folder.contents.models.get(parts[1]) if folder else None
        if folder is None or weights is None:
            raise await self._not_found(model)
        first = self._first_twin(parts[0])
        if damaged:
            return folder.contents, weights
        if first != parts[0]:
            raise InvalidRequest(
                f"{folder.path} has the name of {first}, but for upper and lower case; rename it.", param="model"
            )
        if weights.error is not None:
            raise InvalidRequest(
                f"The model `{model}` cannot be used. {weights.error}", param="model", code="model_unusable"
            )
        return folder.contents, weights

    async def _list(self) -> _Rows:
        """Return id, time and owner of every model, ordered by id, as the folder is now.

        Requests that the event loop took up in one turn had all arrived before the first of them looked: they share
        its look. A task that looks again may have changed something itself, and gets a new one.
        """
        task = asyncio.current_task()
        if self._rows is not None and self._looked is not None and self._looked is not task:
            return self._rows
        self._look()
        if await self._refresh(self._folders.values()):
            self._looked = task
            asyncio.get_running_loop().call_soon(self._end_of_turn)
        if self._rows is None:
            whole = (f.contents for name, f in self._folders.items() if self._first_twin(name) == name)
            models = (weights for contents in whole for weights in contents.listed())
            self._rows = sorted((weights.id, weights.created, weights.owned_by) for weights in models)
        return self._rows

    def _first_twin(self, name: str) -> str:
        """Among folders whose names differ in case only, and that hold models, the first by name has the id."""
        twins = self._twins.get(name.lower(), [name])
        return next((n for n in twins if n in self._folders and self._folders[n].contents.models), name)

    async def _not_found(self, model: str) -> ModelNotFound:
        known = [row[0] for row in await self._list()]
        near = [id for id in known if id.lower() == model.lower()]
        near += [id for id in difflib.get_close_matches(model, known[:COMPARED], n=3, cutoff=0.5) if id not in near]
        said = f" Did you mean {' or '.join(f'`{id}`' for id in near[:3])}?" if near else ""
        hint = (
            "`jan models ls` shows those that are."
            if known
            else "None is, says `jan models ls`; `jan models pull` adds one."
        )
        return ModelNotFound(f"The model `{model[:200]}` is not installed.{said} {hint}", param="model")

    def _look(self, wanted: str | None = None) -> None:
        """Bring the set of folders up to date; nothing inside them is looked at.

        Args:
            wanted: the only name that matters: where the models' folder has it, assistants are not looked at.
        """
        try:
            own = self._place.names()
        except OSError as error:
            raise Unavailable(f"The models' folder {self._place.path} cannot be read: {error.strerror}.") from error
        others = self._names[1]
        if self._assistants is not None and (wanted is None or wanted not in own):
            others = self._assistants.paths()
            if wanted is not None and wanted not in others:
                others = self._assistants.paths(everywhere=True)
        if own is self._names[0] and others is self._names[1]:
            return
        self._names = (own, others)
        taken = {name.lower() for name in own}
        paths = {name: path for name, path in others.items() if name.lower() not in taken}
        paths |= {name: os.path.join(self._place.path, name) for name in own}
        old = self._folders
        if paths != {name: folder.path for name, folder in old.items()}:
            self._rows = None
            kept = {path: old[n] for n, path in paths.items() if n in old and old[n].path == path}
            self._folders = {n: kept.get(paths[n]) or _Folder(n, paths[n]) for n in sorted(paths)}
            self._twins = {}
            for name in self._folders:
                self._twins.setdefault(name.lower(), []).append(name)

    def _end_of_turn(self) -> None:
        self._looked = None

    async def _refresh(self, folders: Iterable[_Folder]) -> bool:
        """Read the folders that changed. Returns, when all are current, whether they were so all along."""
        arrived = time.monotonic()
        looked_at = [*folders]

        def changed() -> list[_Folder]:
            now = time.monotonic()
            return [folder for folder in looked_at if not folder.is_current(arrived, now)]

        inline = len(looked_at) <= INLINE
        stale = changed() if inline else await anyio.to_thread.run_sync(changed, limiter=self._limiter)
        if not stale:
            return inline
        rest = iter(stale)
        async with anyio.create_task_group() as group:
            for _ in range(min(READERS, len(stale))):
                group.start_soon(self._read, rest, arrived)
        return False

    async def _read(self, folders: Iterator[_Folder], arrived: float) -> None:
        for folder in folders:
            async with folder.lock:
                # Another request may have read it while this one waited.
                if folder.is_current(arrived, time.monotonic()):
                    continue
                started = time.monotonic()
                contents = await anyio.to_thread.run_sync(
                    read_folder, folder.path, folder.contents, limiter=self._limiter
                )
                folder.contents, folder.started, folder.listed = contents, started, started
                self._rows = None
