"""What is installed, as the packages' metadata tell it: nothing is imported, and no more is read than is needed.

A package that nobody chose must cost next to nothing, and break nothing. So of each the entry points are read, and of
those with one of ours nothing further until somebody asks. What cannot be read is passed over, as if it were not
there. The library's `entry_points()` would read every section of every package, and raise at the first broken one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import Distribution, EntryPoint, distributions

_NAME = re.compile(r"^Name:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_VERSION = re.compile(r"^Version:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
_OURS = re.compile(r"^\s*\[jan\.", re.MULTILINE)
UNKNOWN = "an unknown distribution"
"""What is told of an entry point whose distribution has no name."""


@dataclass(frozen=True)
class Installed:
    """An entry point and the distribution that declares it.

    Attributes:
        group: its group, without the prefix `jan.`, such as `modules`.
        name: the entry point's name, the one a config uses.
        entry: the entry point itself.
    """

    group: str
    name: str
    entry: EntryPoint

    @cached_property
    def distribution(self) -> str:
        """Name and version, such as `jan-messages-json 0.1.0`; read when it is asked for."""
        return named(self.entry.dist) if self.entry.dist is not None else UNKNOWN

    @property
    def answers(self) -> str:
        """Distribution and entry point, for an error message."""
        return f"{self.distribution}, entry point {self.name} = {self.entry.value} (group jan.{self.group})"


def declared() -> Iterator[EntryPoint]:
    """Every entry point in a group `jan.…` of the running environment, of each distribution once.

    Of two distributions of one name, the one that comes first on `sys.path` counts, as for imports.
    """
    seen = set()
    for dist in distributions():
        name = _plain(dist)
        if name is not None and name in seen:
            continue
        seen.add(name)
        try:
            if _OURS.search(dist.read_text("entry_points.txt") or ""):
                yield from [entry for entry in dist.entry_points if entry.group.startswith("jan.")]
        except Exception:  # a foreign package's files may be broken in any way, and are none of our business
            continue


def listed(group: str, entries: Iterable[EntryPoint]) -> list[Installed]:
    """The entry points of one group, ordered by name, each once.

    Args:
        group: without the prefix `jan.`.
        entries: those of the group.
    """
    each = {(entry.name, id(entry.dist), entry.value): entry for entry in reversed(list(entries))}
    found = sorted((Installed(group, entry.name, entry) for entry in each.values()), key=lambda one: one.name)
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        found.sort(key=lambda one: (one.name, one.distribution if names.count(one.name) > 1 else ""))
    return found


@lru_cache(maxsize=1024)
def named(dist: Distribution) -> str:
    """Name and version of a distribution; the library parses all of the metadata for each of the two."""
    head = ""
    for file in ("METADATA", "PKG-INFO", ""):
        try:
            head = (dist.read_text(file) or "").partition("\n\n")[0]
        except Exception:  # see `declared`
            continue
        if head:
            break
    name, version = _NAME.search(head), _VERSION.search(head)
    return f"{name[1]} {version[1] if version else '(no version)'}" if name else UNKNOWN


def _plain(dist: Distribution) -> str | None:
    try:
        # From the folder's name, which takes a tenth of what reading its metadata would; the library does the same.
        return str(getattr(dist, "_normalized_name", None) or dist.name)
    except Exception:  # see `declared`
        return None
