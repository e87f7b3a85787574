"""What `jan doctor` has in common for all objects that are folders: which there are, and how findings are told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from jan_core.folder.names import is_name
from jan_core.folder.objects import Damaged

SHOWN = 10
"""Findings of one check that are told, at most."""


def folders(homes: Iterable[str]) -> Iterator[str]:
    """The paths of the folders in each home whose names can be ids, by name; none of a home that cannot be read."""
    for home in homes:
        for name in names(home):
            folder = os.path.join(home, name)
            if is_name(name) and os.path.isdir(folder):
                yield folder


def names(home: str) -> list[str]:
    """All names in a folder, in order; none where it cannot be read."""
    try:
        return sorted(os.listdir(home))
    except OSError:
        return []


def fault(path: str, error: Damaged | OSError) -> str:
    """What is wrong with the file at `path`, as a sentence, told by what reading it raised."""
    return f"{error}." if isinstance(error, Damaged) else f"{path} cannot be read: {error.strerror}."


def listed(found: list[str]) -> str:
    """The first findings, and how many more there are."""
    more = [f"And {len(found) - SHOWN} more."] if len(found) > SHOWN else []
    return " ".join(found[:SHOWN] + more)
