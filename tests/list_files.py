"""A list file and what it holds, for the tests of `jan_core.folder.lists`."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from jan_core.folder.elements import joined
from jan_core.folder.lists import Lists
from jan_core.folder.locks import Locks
from jan_core.folder.views import ListView


def names(values: dict[str, Any]) -> list[str]:
    return [values["id"]] if isinstance(values.get("id"), str) else []


def one(number: int, size: int = 0) -> bytes:
    return json.dumps({"id": f"msg_{number}", "text": "x" * size}, separators=(",", ":")).encode()


def numbers(first: int, last: int) -> list[bytes]:
    return [one(number) for number in range(first, last)]


class Folder:
    """A list file, and what it holds."""

    def __init__(self, folder: Path, *, rewrite: bool = False) -> None:
        self.file = folder / "thread" / "messages.json"
        self.file.parent.mkdir(exist_ok=True)
        self.path = str(self.file)
        self.root = folder
        self.lists = Lists(Locks(folder), names, rewrite=rewrite)

    def fresh(self) -> Folder:
        """As another process sees it."""
        return Folder(self.root, rewrite=self.lists.rewrite)

    def append(self, *elements: bytes) -> None:
        for element in elements:
            with self.lists.change(self.path, "t") as change:
                change.append(element)

    def edit(self, name: str, new: bytes | None) -> bool:
        with self.lists.change(self.path, "t") as change:
            return change.edit(name, lambda raw: new)

    def read(self, look: Callable[[ListView], Any] | None = None, *, at_once: bool = False) -> Any:
        def all_of(view: ListView) -> list[bytes]:
            found = [*view.oldest_first()]
            for element in found:
                view.check(element)
            return [element.raw for element in found]

        return self.lists.read(self.path, "t", look or all_of, at_once=at_once)

    def newest(self, count: int = 3) -> list[bytes]:
        return self.read(lambda view: [element.raw for element in islice(view.newest_first(), count)])

    def find(self, name: str) -> bytes | None:
        def look(view: ListView) -> bytes | None:
            found = view.find(name)
            return found.raw if found else None

        return self.read(look)

    def copies(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.file.parent.glob("messages.json.broken-*"))]

    def check(self, elements: list[bytes]) -> None:
        """The file is strictly valid, in Jan's layout, and holds these."""
        assert self.file.read_bytes() == joined(elements)
        json.loads(self.file.read_bytes())
        assert sorted(path.name for path in self.file.parent.iterdir() if ".broken-" not in path.name) == [
            "messages.json"
        ]
