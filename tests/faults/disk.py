"""A disk that loses what was not flushed: every state that a power cut can leave, out of a record of file calls.

The model is stricter than any file system, so that what survives here survives everywhere:

- What was written to a file since its last flush may be there or not, each write for itself; a write may be torn at any
  sector, page or other place; a grown file may have zeros or rubbish where its data should be, or its old size.
- A name that was made, moved or removed may be as before until the folder it lies in is flushed, each for itself.
  Flushing a file does not flush its name, nor does flushing a folder flush the folder's own name.
- After a flush that failed, what was to be flushed may never reach the disk, however often flushing works afterwards.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.tears import tears

Tree = Mapping[str, bytes | None]
"""Paths from the recorded folder to contents; None for a folder."""

TOP = 0
"""The number of the recorded folder itself."""


@dataclass(frozen=True, slots=True)
class Made:
    """A file or a folder was made; `unimportant` where nobody minds whether it is there after a crash."""

    folder: int
    name: str
    node: int
    is_folder: bool
    unimportant: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """A name was given to what had another; `folder` and `name` are the old ones."""

    folder: int
    name: str
    new_folder: int
    new_name: str
    node: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A name was removed."""

    folder: int
    name: str
    node: int


@dataclass(frozen=True, slots=True)
class Wrote:
    """Data was written to a file."""

    node: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file was cut to a size, or filled up to it with zeros."""

    node: int
    size: int


@dataclass(frozen=True, slots=True)
class Flushed:
    """A file or a folder was flushed, by the code at `site`; not `worked` where that failed."""

    node: int
    site: str
    worked: bool = True


@dataclass(frozen=True, slots=True)
class Began:
    """A request began."""

    number: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A request was answered; not `worked` where with an error."""

    number: int
    worked: bool = True


Naming = Made | Moved | Removed
Change = Wrote | Cut
Event = Naming | Change | Flushed | Began | Answered

_OPEN, _LOST, _SURE = "may still be flushed", "may be lost for ever", "is on the disk, behind one that may be lost"


@dataclass
class _File:
    sure: bytes = b""
    later: list[tuple[Change, str]] = field(default_factory=list)


class Disk:
    """The disk after some events; give them to `add` one by one.

    Args:
        seed: of the choices among states, where there are too many.
    """

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._files: dict[int, _File] = {}
        self._folders: dict[int, dict[str, int]] = {TOP: {}}
        self._naming: list[tuple[Naming, set[int]]] = []
        self._contents: dict[int, list[bytes]] = {}

    def add(self, event: Event) -> None:
        """Let something happen."""
        match event:
            case Made() | Moved() | Removed():
                if isinstance(event, Made):
                    if event.is_folder:
                        self._folders[event.node] = {}
                    else:
                        self._files[event.node] = _File()
                folders = {event.folder, event.new_folder} if isinstance(event, Moved) else {event.folder}
                self._naming.append((event, set() if isinstance(event, Made) and event.unimportant else folders))
            case Wrote() | Cut():
                self._files[event.node].later.append((event, _OPEN))
                self._contents.pop(event.node, None)
            case Flushed(node=node, worked=worked) if node in self._files:
                self._flush_file(node, worked)
            case Flushed(node=node, worked=True):
                self._flush_folder(node)
            case _:
                pass

    def everything(self) -> Tree:
        """What a reader sees while there is no crash."""
        return self._tree(
            [True] * len(self._naming), {node: self._applied(file, None) for node, file in self._files.items()}
        )

    def states(self, most: int) -> Iterator[Tree]:
        """What a power cut can leave now: all of it where that is at most `most` states, else so many of them.

        Those in which nothing, everything, or all but one of what is open arrived are always among them.
        """
        chance = random.Random(self._seed)
        namings = list(self._namings(most, chance))
        for naming in namings:
            reached = self._reached(naming)
            files = [node for node in reached if node in self._files and self._files[node].later]
            choices = [self._possible(node, most) for node in files]
            for contents in _some(choices, max(8, most // len(namings)), chance):
                yield self._tree(naming, dict(zip(files, contents, strict=True)))

    def _flush_file(self, node: int, worked: bool) -> None:
        file = self._files[node]
        after = {_OPEN: _SURE if worked else _LOST}
        file.later = [(change, after.get(status, status)) for change, status in file.later]
        while file.later and file.later[0][1] is _SURE:
            file.sure = _changed(file.sure, file.later.pop(0)[0])
        self._contents.pop(node, None)

    def _flush_folder(self, node: int) -> None:
        rest: list[tuple[Naming, set[int]]] = []
        for event, waits in self._naming:
            waits.discard(node)
            if waits or any(_places(event) & _places(other) for other, _ in rest):
                rest.append((event, waits))
            else:
                _name(self._folders, event)
        self._naming = rest

    def _namings(self, most: int, chance: random.Random) -> Iterator[Sequence[bool]]:
        choices = [[False, True] if waits else [True] for _, waits in self._naming]
        return _some(choices, max(8, most // 4), chance)

    def _possible(self, node: int, most: int) -> list[bytes]:
        """What a file may hold; the least first, then the most."""
        if node not in self._contents:
            file = self._files[node]
            chance = random.Random(self._seed)
            choices = []
            content = file.sure
            for change, status in file.later:
                found: list[object] = [None] if status is _SURE else [False, None]
                if isinstance(change, Wrote) and status is not _SURE:
                    found = list(tears(change.offset, change.data, len(content), chance))
                choices.append(found)
                content = _changed(content, change)
            contents = (self._applied(file, chosen) for chosen in _some(choices, most, chance))
            self._contents[node] = list(dict.fromkeys(contents))
        return self._contents[node]

    def _applied(self, file: _File, chosen: Sequence[object] | None) -> bytes:
        content = file.sure
        for index, (change, _) in enumerate(file.later):
            how = None if chosen is None else chosen[index]
            if how is not False:
                content = _changed(content, change, how)
        return content

    def _resolved(self, naming: Sequence[bool]) -> dict[int, dict[str, int]]:
        folders = {node: dict(names) for node, names in self._folders.items()}
        for (event, _), there in zip(self._naming, naming, strict=True):
            if there:
                _name(folders, event)
        return folders

    def _reached(self, naming: Sequence[bool]) -> list[int]:
        folders, found, todo = self._resolved(naming), [], [TOP]
        while todo:
            node = todo.pop()
            found.append(node)
            todo += folders.get(node, {}).values()
        return found

    def _tree(self, naming: Sequence[bool], contents: Mapping[int, bytes]) -> Tree:
        folders, tree = self._resolved(naming), dict[str, bytes | None]()

        def walk(node: int, path: str) -> None:
            for name, child in sorted(folders[node].items()):
                if child in folders:
                    tree[path + name] = None
                    walk(child, f"{path}{name}/")
                else:
                    tree[path + name] = contents[child] if child in contents else self._files[child].sure

        walk(TOP, "")
        return tree


def _places(event: Naming) -> set[tuple[int, str]]:
    found = {(event.folder, event.name)}
    return found | {(event.new_folder, event.new_name)} if isinstance(event, Moved) else found


def _name(folders: dict[int, dict[str, int]], event: Naming) -> None:
    match event:
        case Made():
            folders[event.folder][event.name] = event.node
        case Moved():
            if folders[event.folder].get(event.name) == event.node:
                del folders[event.folder][event.name]
            folders[event.new_folder][event.new_name] = event.node
        case Removed():
            if folders[event.folder].get(event.name) == event.node:
                del folders[event.folder][event.name]


def _changed(content: bytes, change: Change, how: object = None) -> bytes:
    if isinstance(change, Cut):
        return content[: change.size].ljust(change.size, b"\0")
    if how is not None:
        return how.apply(content, change.offset, change.data)  # type: ignore[attr-defined, no-any-return]
    start, stop = change.offset, change.offset + len(change.data)
    return content[:start].ljust(start, b"\0") + change.data + content[stop:]


def _some(choices: Sequence[Sequence[object]], most: int, chance: random.Random) -> Iterator[Sequence[object]]:
    """All combinations, or the telling ones and then others up to `most`.

    The first of the choices is that nothing arrived, and the second, or the only one, that all of it did.
    """
    if math.prod(map(len, choices)) <= most:
        yield from itertools.product(*choices)
        return
    none = [one[0] for one in choices]
    full = [one[min(1, len(one) - 1)] for one in choices]
    yield none
    yield full
    given = 2
    for index, options in enumerate(choices):
        for option in options[: max(2, most // (2 * len(choices)))]:
            for around in (none, full):
                if given < most:
                    given += 1
                    yield [*around[:index], option, *around[index + 1 :]]
    while given < most:
        given += 1
        yield [chance.choice(options) for options in choices]
