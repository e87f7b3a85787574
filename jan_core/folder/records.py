"""What was read of objects that are folders: their files are opened again only where they are not what they were.

An object has a file of its own, and beside it one that may say what answers. The memory is bounded; what was read
longest ago is forgotten.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from jan_core.folder.objects import Damaged, read_object
from jan_core.folder.shelf import Unread
from jan_core.folder.signature import Signature, is_settled, signature

REMEMBERED = 512
"""Objects of one kind whose files are not read again as long as they do not change."""

V = TypeVar("V")


class Item(Protocol):
    """What an object of the API has here: a time, and a form as JSON."""

    created_at: int

    def model_dump_json(self) -> str:
        """The object as JSON."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, /) -> Self:
        """The object of its JSON."""


T = TypeVar("T", bound=Item)

Shown = Callable[[str, str, dict[str, Any], bytes, dict[str, Any] | None], T]
"""Makes an object of its name, its file's path, values and bytes, and the values of the file beside it, if any.
It raises `Damaged` where it cannot."""


@dataclass(frozen=True, slots=True)
class Record(Generic[T]):
    """What was read of an object.

    Attributes:
        folder: where it lies.
        seen: the signatures of its file and of the one beside it.
        settled: any later change must show in them.
        created_at: when it was made, in Unix seconds; None where it is damaged.
        damage: what is wrong with its file.
    """

    folder: str
    seen: tuple[Signature | None, Signature | None]
    settled: bool
    created_at: int | None
    damage: Damaged | None
    _schema: type[T]
    _content: bytes

    def item(self) -> T:
        """The object, one of its own for every caller.

        Raises:
            Damaged: it cannot be shown.
        """
        if self.damage is not None:
            # Each time a new one: a traceback grows with every raise.
            raise Damaged(self.damage.path, self.damage.line, self.damage.what)
        return self._schema.model_validate_json(self._content)


class Records(Generic[T]):
    """The objects of one kind, read. May be used by several threads at once.

    Args:
        schema: the objects' class.
        file: the name of the file that makes a folder one of them.
        beside: the name of the file that says what answers.
        shown: makes an object of both.
        folder_of: where the object of a name lies, or would; raises `InvalidRequest` for what cannot be a name.
    """

    def __init__(
        self, schema: type[T], file: str, beside: str, shown: Shown[T], folder_of: Callable[[str], str]
    ) -> None:
        self._schema = schema
        self._file = file
        self._beside = beside
        self._shown = shown
        self._folder_of = folder_of
        self._records: dict[str, Record[T]] = {}

    def find(self, name: str, *, may_read: bool) -> Record[T] | None:
        """An object as it is now; None where there is none. Blocks where it may read.

        Raises:
            InvalidRequest: that cannot be a name.
            Unread: its files must be read, and may not.
            OSError: they cannot be read.
        """
        known = self._records.get(name)
        if known is not None and self._is_current(known):
            return None if self.is_hidden(name) else known
        folder = self._folder_of(name)
        if signature(os.path.join(folder, self._file)) is None or self.is_hidden(name):
            self.drop(name)
            return None
        if not may_read:
            raise Unread
        return self.read(name, folder)

    def find_at_once(self, name: str) -> Record[T] | None:
        """As `find`, for the event loop: files that have changed are read where that waits for nothing.

        Raises:
            InvalidRequest: that cannot be a name.
            Unread: they must be read by `find`.
        """
        try:
            return self.find(name, may_read=False)
        except Unread:
            pass
        try:
            return self.read(name, self._folder_of(name), at_once=True)
        except OSError:  # BlockingIOError is one
            raise Unread from None

    def look(self, name: str, may_read: bool, learn: Callable[[str, int], None]) -> T | None:
        """An object for a listing, as `Shelf.page` asks for it; None where there is none that can be shown.

        Args:
            name: of the object.
            may_read: whether its files may be read.
            learn: is told when it was made; the catalogue's.

        Raises:
            Unread: its files must be read, and may not.
        """
        try:
            record = self.find(name, may_read=may_read)
        except OSError:
            return None
        if record is None or record.created_at is None:
            return None
        learn(name, record.created_at)
        return record.item()

    def is_hidden(self, name: str) -> bool:
        """True where an object counts as none although its files are there. A kind that has such says which."""
        return False

    def drop(self, name: str) -> None:
        """Forget what was read of an object."""
        self._records.pop(name, None)

    def read(self, name: str, folder: str, *, at_once: bool = False) -> Record[T] | None:
        """Read the files of an object, and remember that; None where there is none. Blocks.

        Args:
            name: of the object.
            folder: where it lies.
            at_once: see `read_object`; of both files.

        Raises:
            OSError: its file cannot be read.
            BlockingIOError: see `at_once`.
        """
        now = time.time_ns()
        path, model = os.path.join(folder, self._file), os.path.join(folder, self._beside)
        settings, beside = None, signature(model)
        if beside is not None:
            try:
                settings, beside, _ = read_object(model, at_once=at_once)
            except BlockingIOError:
                raise
            except (Damaged, OSError):
                # It costs what it sets, and not the object; whoever asks for what it sets is told.
                pass
        created_at, content, damage, seen = None, b"", None, signature(path)
        try:
            values, seen, found = read_object(path, at_once=at_once)
            item = self._shown(name, path, values, found, settings)
            created_at, content = item.created_at, item.model_dump_json().encode()
        except Damaged as error:
            damage = error
        except FileNotFoundError:
            self.drop(name)
            return None
        settled = is_settled(seen, now) and is_settled(beside, now)
        record = Record(folder, (seen, beside), settled, created_at, damage, self._schema, content)
        keep(self._records, name, record, REMEMBERED)
        return record

    def time_made(self, folder: str) -> int | None:
        """When the object in a folder was made; None where its file does not say it. Blocks, and remembers nothing."""
        path = os.path.join(folder, self._file)
        try:
            values, _, content = read_object(path)
            return self._shown(os.path.basename(folder), path, values, content, None).created_at
        except (OSError, Damaged):
            return None

    def _is_current(self, known: Record[T]) -> bool:
        path, model = os.path.join(known.folder, self._file), os.path.join(known.folder, self._beside)
        return known.settled and (signature(path), signature(model)) == known.seen


def keep(kept: dict[str, V], name: str, value: V, most: int) -> None:
    """Put in a value as the newest, and take out what has been there for longest.

    Several threads may do so at the same time.

    Args:
        kept: the values by name.
        name: of the value.
        value: what is kept.
        most: so many values stay.
    """
    kept.pop(name, None)
    kept[name] = value
    while len(kept) > most:
        try:
            kept.pop(next(iter(kept)), None)
        except (StopIteration, RuntimeError):  # another thread does the same
            return
