"""Files of a foreign root, placed in ours: linked or copied, never written over."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jan_core.folder.calls import DISK
from jan_core.folder.copies import copy_file, is_same, link_file
from jan_core.folder.layout import Layout
from jan_core.folder.locks import Locks
from jan_core.folder.objects import read_values, write_object
from jan_core.folder.replace import replace_file
from jan_core.importing.models import MODEL, ForeignModel, file_name
from jan_core.importing.reading import Unreadable, read_object
from jan_core.importing.report import Item
from jan_core.importing.threads import THREAD

if TYPE_CHECKING:
    from jan_core.pull.progress import Progress

OF_ASSISTANT = ("src", "index.py", "index.js", "pyproject.toml", "package.json", "model.json")
"""What lies in the folder of an assistant beside its `assistant.json`, and belongs to it."""
OF_THREAD = ("files",)
"""The same of a thread, but for what becomes part of the thread itself."""
DEEPEST = 8
"""Levels of folders below which nothing is taken."""


def place_model(
    models: Path, model: ForeignModel, name: str, item: Item, copy: bool, dry_run: bool, progress: Progress
) -> None:
    """Place the files of a model, and then its `model.json`.

    Args:
        models: the root's folder of models.
        model: what was found.
        name: what it is called here, a checked name.
        item: told of the outcome.
        copy: copy also where a second name could be made.
        dry_run: only look.
        progress: told of copies.

    Raises:
        OSError: something cannot be read or written.
    """
    folder = models / name
    twin = next((n for n in _names(models) if n != name and n.lower() == name.lower()), None)
    if twin is not None:
        item.why = f"a model {twin!r} is here, and {name!r} differs from it only in capitals"
        return
    if not folder.resolve().is_relative_to(models.resolve()):
        item.why = f"{folder} is a link that leaves the root, and is not written to"
        return
    placed = [(path.resolve(), folder / file_name(path)) for path, _ in model.files]
    description = model.description(name)
    missing = [pair for pair in placed if not os.path.lexists(pair[1])]
    told = _Step(progress, "Comparing")
    if any(not is_same(*pair, told.of(pair[0])) for pair in placed if pair not in missing):
        item.why = f"a model {name!r} is here already, with another file of the same name"
        return
    here = _described(folder)
    if here is not None and here != description:
        if missing:
            item.why = f"another model {name!r} is here already"
            return
        item.notes.append("its model.json differs from the one here, which was left as it is")
    elif not missing and here == description:
        item.outcome = "present"
        return
    item.outcome = "imported" if missing or (here is None and description is not None) else "present"
    if dry_run:
        return
    _make(models)
    _make(folder)
    for original, target in missing:
        _bring(original, target, copy, progress)
    if description is not None and here is None:
        content = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
        replace_file(folder / MODEL, content.encode())


def _bring(original: Path, target: Path, copy: bool, progress: Progress) -> None:
    if not copy and link_file(original, target):
        return
    copy_file(original, target, _Step(progress, "Copying").of(original))


class _Step:
    """Begins a step of the progress when there is something to tell of it, which a comparison mostly has not."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._what = what

    def of(self, path: Path) -> Callable[[int], None]:
        begun: list[bool] = []

        def told(n: int) -> None:
            if not begun:
                begun.append(True)
                self._progress.start(f"{self._what} {path.name}", path.stat().st_size)
            self._progress.advance(n)

        return told


def place_files(folder: Path, names: tuple[str, ...], target: Path, item: Item, dry_run: bool) -> None:
    """Copy what lies beside an object. What is here already and differs is left as it is, with a note.

    Args:
        folder: the foreign folder of the object.
        names: the files and folders in it that belong to it.
        target: the folder of the object here.
        item: told of what differs.
        dry_run: only look.

    Raises:
        OSError: something cannot be read or written.
    """
    for original, below in (found for name in names for found in _files(folder / name, name, 0)):
        path = target / below
        if os.path.lexists(path):
            if not is_same(original, path, lambda _: None):
                item.notes.append(f"{below} differs from the one here, which was left as it is")
        elif not dry_run:
            for parent in reversed(Path(below).parents):
                _make(target / parent)
            copy_file(original, path, lambda _: None)


def place_instructions(layout: Layout, thread_id: str, said: str, item: Item, dry_run: bool) -> None:
    """Put what the model is told in a thread into the `model.json` of its folder, unless that says something already.

    Args:
        layout: of the root.
        thread_id: a thread that is stored.
        said: the instructions.
        item: told where they could not be kept.
        dry_run: only look.

    Raises:
        OSError, Damaged: the file cannot be read or written.
        InvalidRequest: the folder lies outside the root, behind a link.
    """
    folder = layout.thread_folder(thread_id)
    if dry_run:
        return
    if not os.path.exists(os.path.join(folder, THREAD)):
        item.notes.append("its own instructions were left out: threads are not kept in the folder here")
        return
    path = os.path.join(folder, MODEL)
    layout.check_writable(path)
    with Locks(Path(layout.root)).hold(thread_id):
        try:
            values = read_values(path)
        except FileNotFoundError:
            values = {}
        if not values.get("instructions"):
            write_object(path, {**values, "instructions": said})


def _files(path: Path, below: str, depth: int) -> Iterator[tuple[Path, str]]:
    if path.is_symlink() or depth == DEEPEST:
        return  # it may lead anywhere
    if path.is_file():
        yield path, below
    elif path.is_dir():
        for name in _names(path):
            if not name.startswith(".") and name not in ("node_modules", "__pycache__"):
                yield from _files(path / name, f"{below}/{name}", depth + 1)


def _described(folder: Path) -> object | None:
    """The `model.json` that is here; None where there is none. A damaged one is no other's."""
    if not os.path.lexists(folder / MODEL):
        return None
    try:
        return read_object(folder / MODEL)
    except Unreadable:
        return "damaged"


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        DISK.mkdir(folder)
        DISK.sync_folder(folder.parent)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
