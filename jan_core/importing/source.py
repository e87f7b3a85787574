"""What lies where in a foreign root. Names are looked at, and what assistants say of where their threads lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jan_core.errors import InvalidRequest
from jan_core.folder.layout import Layout
from jan_core.importing.messages import ARRAY, LINES
from jan_core.importing.threads import THREAD

ASSISTANT = "assistant.json"
"""The file of an assistant."""
DEEPEST = 6
"""Levels of folders below which no model is looked for."""

_MODELS = ("models", "llamacpp/models")
_MODEL_FILES = ("model.json", "model.yml", "model.yaml")


@dataclass
class Source:
    """What a foreign root holds, each kind ordered by name.

    Args:
        folder: the root itself.
        assistants: folders with an `assistant.json`.
        threads: folders with a thread, or with messages.
        models: folders with a description of a model, or with its file, and the part of the path that names it.
    """

    folder: Path
    assistants: list[Path] = field(default_factory=list)
    threads: list[Path] = field(default_factory=list)
    models: list[tuple[str, Path]] = field(default_factory=list)


def look(folder: Path, root: Path) -> Source:
    """See what a folder holds.

    Args:
        folder: the foreign root; the `data` folder in it is one, too.
        root: Jan's own, which is no foreign one.

    Raises:
        InvalidRequest: it is none, or Jan's own.
    """
    given = folder
    if not folder.is_dir():
        raise InvalidRequest(f"{given} is {'no folder' if os.path.lexists(folder) else 'not there'}.")
    found = _look(folder.resolve())
    if not _holds(found) and (folder / "data").is_dir():
        found = _look((folder / "data").resolve())
    here = root.resolve()
    if found.folder == here or here.is_relative_to(found.folder) or found.folder.is_relative_to(here):
        raise InvalidRequest(
            f"{given} is the root that would be imported into, or one lies in the other. Name another root: --root."
        )
    if not _holds(found):
        raise InvalidRequest(f"{given} holds no threads/, assistants/ or models/: it is no root of Jan.")
    return found


def _holds(source: Source) -> bool:
    return bool(source.assistants or source.threads or source.models)


def _look(folder: Path) -> Source:
    source = Source(folder)
    owned: list[Path] = []
    threads = [folder / "threads"]
    for one in _folders(folder / "assistants"):
        if (one / ASSISTANT).exists():
            source.assistants.append(one)
        threads.append(one / "threads")
        owned.append(one / "models")
    threads += map(Path, Layout(folder).homes())
    for place in dict.fromkeys(threads):
        source.threads += [one for one in _folders(place) if any((one / n).exists() for n in (THREAD, ARRAY, LINES))]
    for place in [*(folder / name for name in _MODELS), *owned]:
        source.models += [(one.relative_to(place).as_posix(), one) for one in _models(place, 0)]
    return source


def _models(place: Path, depth: int) -> Iterator[Path]:
    if depth == DEEPEST:
        return
    for one in _folders(place):
        names = listed(one)
        if any(name in _MODEL_FILES or is_weights(name) for name in names):
            yield one
        else:
            yield from _models(one, depth + 1)


def is_weights(name: str) -> bool:
    """Whether a file's name is that of a model's weights."""
    return name.lower().endswith((".gguf", ".ggml")) and not name.startswith(".")


def _folders(place: Path) -> list[Path]:
    return [place / name for name in listed(place) if not name.startswith(".") and (place / name).is_dir()]


def listed(place: Path | str) -> list[str]:
    """The names in a folder that can be printed, in order; none where there is no folder, or it cannot be read."""
    try:
        # A name that is no text cannot be the id of anything, and would break whatever prints it.
        return sorted(name for name in os.listdir(place) if name.isprintable())
    except OSError:
        return []
