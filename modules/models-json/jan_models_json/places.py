"""Where models' folders lie: in the root's `models/`, and in the `models/` of assistants."""

from __future__ import annotations

import os
import time

from jan_core.folder.layout import Layout
from jan_core.folder.names import is_name
from jan_core.folder.signature import Signature, is_settled, signature

TRUSTED = 2.0
"""Seconds after which a folder's names are listed again in any case: some file systems keep no times of folders."""


class Place:
    """A folder, and the folders in it that can be named. Looking costs one call where nothing changed.

    Args:
        path: of the folder; it need not exist.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._names: frozenset[str] = frozenset()
        self._seen: tuple[Signature | None, bool, float] = (None, False, -TRUSTED)

    @property
    def exists(self) -> bool:
        """Whether the folder was there when its names were last asked for."""
        return self._seen[0] is not None

    def forget(self) -> None:
        """List the names anew the next time."""
        self._seen = (None, False, -TRUSTED)

    def names(self) -> frozenset[str]:
        """The names as they are now; the same object where nothing changed.

        Raises:
            OSError: the folder is there and cannot be read.
        """
        seen, settled, listed = self._seen
        now = time.monotonic()
        begun = time.time_ns()
        found = signature(self.path)
        if found == seen and settled and now - listed <= TRUSTED:
            return self._names
        try:
            with os.scandir(self.path) as entries:
                names = frozenset(entry.name for entry in entries if is_name(entry.name) and _is_folder(entry))
        except FileNotFoundError:
            names = frozenset()
        self._seen = (found, is_settled(found, begun), now)
        if names != self._names:
            self._names = names
        return self._names


class AssistantsPlaces:
    """The models that lie in the folders of assistants.

    Args:
        layout: of the root.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._assistants = Place(layout.assistants)
        self._places: dict[str, Place] = {}
        self._watched: list[Place] = []
        self._found: list[tuple[Place, frozenset[str]]] = []
        self._paths: dict[str, str] = {}
        self._seen: tuple[frozenset[str], float] = (frozenset(), -TRUSTED)

    def paths(self, *, everywhere: bool = False) -> dict[str, str]:
        """The folders by name as they are now; the same object where nothing changed.

        Of equal names the one of the first assistant counts, by its name. What cannot be read holds none.

        Args:
            everywhere: look into every assistant. Otherwise one that had no `models/` is looked into again when
                assistants came or went, and every `TRUSTED` seconds.
        """
        now = time.monotonic()
        assistants = _names_in(self._assistants)
        if everywhere or assistants is not self._seen[0] or now - self._seen[1] > TRUSTED:
            self._seen = (assistants, now)
            made = ((name, Place(self._layout.assistant_models(name))) for name in sorted(assistants))
            self._places = {name: self._places.get(name, place) for name, place in made}
            self._watched = [place for place in self._places.values() if _names_in(place) or place.exists]
        found = [(place, names) for place in self._watched if (names := _names_in(place))]
        if found != self._found:
            self._found = found
            paths: dict[str, str] = {}
            taken: set[str] = set()
            for place, names in found:
                paths |= {name: os.path.join(place.path, name) for name in names if name.lower() not in taken}
                taken |= {name.lower() for name in names}
            self._paths = paths
        return self._paths

    def folders(self) -> list[str]:
        """The `models/` of all assistants that have one with something in it, by the assistant's name."""
        self.paths(everywhere=True)
        return [place.path for place, _ in self._found]


def _names_in(place: Place) -> frozenset[str]:
    try:
        return place.names()
    except OSError:
        return frozenset()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False
