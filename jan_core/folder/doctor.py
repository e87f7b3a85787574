"""What `jan doctor` has in common for all objects that are folders: which there are, and how findings are told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from jan_core.folder.names import is_name
from jan_core.folder.objects import Damaged


def folders(homes: Iterable[str]) -> Iterator[str]:
    """The paths of the folders in each home whose names can be ids, by name; none of a home that cannot be read."""
    for home in homes:
        for name in names(home):
            folder = os.path.join(home, name)
            if is_name(name) and os.path.isdir(folder):
                yield folder


def misnamed(homes: Iterable[str]) -> Iterator[str]:
    """The paths of the folders in each home whose names cannot be ids, as they can be printed, by name.

    Names that begin with a dot are not meant to be ids.
    """
    for home in homes:
        for name in names(home):
            if not name.startswith(".") and not is_name(name) and os.path.isdir(os.path.join(home, name)):
                yield os.path.join(home, ascii(name)[1:-1])


def names(home: str) -> list[str]:
    """All names in a folder, in order; none where it cannot be read."""
    try:
        return sorted(os.listdir(home))
    except OSError:
        return []


def fault(path: str, error: Damaged | OSError) -> str:
    """What is wrong with the file at `path`, as a sentence, told by what reading it raised."""
    return f"{error}." if isinstance(error, Damaged) else f"{path} cannot be read: {error.strerror}."
