"""Looking at a list file: its elements from either end, and by name, without a lock.

A list in Jan's own layout is read piece by piece, and only where it is looked at (`LinesView`). Anything else is read
whole (`ScannedView`). Both say the same of a list that both can read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from pydantic_core import from_json

from jan_core.folder.calls import DISK
from jan_core.folder.elements import BETWEEN, HEAD, TAIL, Scanned

_TAIL_BREAKS = TAIL.count(b"\n")
WINDOW = 1 << 14
"""Bytes at the end of a list that are read at once: the newest twenty messages, mostly."""
BLOCK = 1 << 18
"""Bytes that are read at once of a list that is gone through."""

Names = Callable[[dict[str, Any]], Iterable[str]]
"""Gives the names under which an element is to be found."""
Holding = tuple[bytes, ...]
"""Texts to look for before anything is parsed: a hundred thousand lines take milliseconds then."""
Read = Callable[[int, int, int], bytes]
"""`FileCalls.read`, or `FileCalls.read_at_once`."""


class Astray(Exception):
    """The file is not, or not any more, a list in Jan's layout; it has to be looked at anew, or read whole."""


class Element(NamedTuple):
    """An element of a list, as text.

    Attributes:
        place: grows from element to element; means nothing in another view.
        raw: one line of JSON.
    """

    place: int
    raw: bytes


_NOTHING = Element(0, b"")


class ListView(ABC):
    """A list file as it is at one moment. It may be used until the function it was given to returns."""

    @abstractmethod
    def newest_first(self, before: Element | None = None, *, holding: Holding = ()) -> Iterator[Element]:
        """The elements older than `before`, or all, from the newest to the oldest; read as they are asked for.

        Args:
            before: an element of this view.
            holding: texts one of which must stand in an element; others are passed over, mostly.
        """

    @abstractmethod
    def oldest_first(self, after: Element | None = None, *, holding: Holding = ()) -> Iterator[Element]:
        """The elements newer than `after`, or all, from the oldest to the newest; otherwise as `newest_first`."""

    def newest(self, count: int) -> tuple[bytes, bool] | None:
        """The newest lines of the list as one text, which is quicker than element by element.

        Args:
            count: of the lines, from 1; in Jan's layout, that is of elements.

        Returns:
            The text from the oldest of them to the newest, with `,` between elements, and whether that is all of the
            list. Nothing of it was parsed: where it is not as many elements, go through `newest_first`. None where
            there is no such text at hand.
        """
        return None

    @abstractmethod
    def find(self, name: str, *, thorough: bool = True) -> Element | None:
        """The oldest element of this name.

        Args:
            name: one of those that `Names` gives for it.
            thorough: look again, in the whole file, where it is not found and somebody else wrote to the file.
        """

    @abstractmethod
    def is_doubled(self, name: str) -> bool:
        """Whether several elements may have a name. To be called after `find`, and costs next to nothing then.

        Returns:
            True where they have, and once in millions where they have not.
        """

    @abstractmethod
    def all_of(self, name: str) -> list[Element]:
        """All elements of a name, the oldest first; of more than eight the oldest and the newest, and some of the rest.

        To be called after `find`.
        """

    @abstractmethod
    def line(self, element: Element) -> int:
        """The line of the file on which an element begins, from 1. It may have to read all before it."""

    @abstractmethod
    def check(self, element: Element) -> None:
        """To be called with an element that cannot be parsed.

        Raises:
            Astray: it is not what the file holds, but what a wrong idea of its layout made of it.
        """


class ScannedView(ListView):
    """A list in memory.

    Args:
        scanned: what the file holds.
        names: gives the names of an element.
    """

    def __init__(self, scanned: Scanned, names: Names) -> None:
        self._scanned = scanned
        self._names = names
        self._counted: Counter[str] | None = None

    def newest_first(self, before: Element | None = None, *, holding: Holding = ()) -> Iterator[Element]:
        """See `ListView`."""
        elements = self._scanned.elements
        for place in range(len(elements) if before is None else before.place)[::-1]:
            if _holds(elements[place], holding):
                yield Element(place, elements[place])

    def oldest_first(self, after: Element | None = None, *, holding: Holding = ()) -> Iterator[Element]:
        """See `ListView`."""
        elements = self._scanned.elements
        for place in range(0 if after is None else after.place + 1, len(elements)):
            if _holds(elements[place], holding):
                yield Element(place, elements[place])

    def find(self, name: str, *, thorough: bool = True) -> Element | None:
        """See `ListView`."""
        return next((one for one in self.oldest_first() if has_name(self._names, one.raw, name)), None)

    def is_doubled(self, name: str) -> bool:
        """See `ListView`."""
        if self._counted is None:
            self._counted = Counter(name for raw in self._scanned.elements for name in _names_of(self._names, raw))
        return self._counted[name] > 1

    def all_of(self, name: str) -> list[Element]:
        """See `ListView`."""
        return [one for one in self.oldest_first() if has_name(self._names, one.raw, name)]

    def line(self, element: Element) -> int:
        """See `ListView`."""
        return self._scanned.lines[element.place]

    def check(self, element: Element) -> None:
        """See `ListView`. The whole file was read, so the element is what it holds."""


class LinesView(ListView):
    """A list in Jan's layout, read where it is looked at.

    Args:
        descriptor: the open file; whoever opened it closes it when the view is done with.
        size: of the file.
        names: gives the names of an element.
        places: gives the places where an element may be, by name; called with `True` for a thorough look.
        doubled: whether several elements may have a name; called after `places` alone.
        read: how to read.

    Raises:
        Astray: it ends or begins otherwise. Whatever is looked at, its last element is looked at first; where that is
            not whole, this is raised then.
    """

    def __init__(
        self,
        descriptor: int,
        size: int,
        names: Names,
        places: Callable[[str, bool], Iterable[int]],
        doubled: Callable[[str], bool],
        read: Read = DISK.read,
    ) -> None:
        self._descriptor = descriptor
        self._names = names
        self._places = places
        self._doubled = doubled
        self._read = read
        self._from = max(0, size - WINDOW)
        self._window = read(descriptor, size - self._from, self._from)
        self.end = size - len(TAIL)
        """The offset behind the last element."""
        head = self._window[: len(HEAD)] if not self._from else read(descriptor, len(HEAD), 0)
        if head != HEAD or len(self._window) < size - self._from or not self._window.endswith(TAIL):
            raise Astray
        self._ends_well = False

    def _check_end(self) -> None:
        """Look at the last element, once."""
        if not self._ends_well:
            self._ends_well = True
            parsed(next(self.newest_first(), _NOTHING).raw)

    def newest(self, count: int) -> tuple[bytes, bool] | None:
        """See `ListView`."""
        # In Jan's layout a line break stands in front of each element, and nowhere else but in the tail.
        before, *lines = self._window.rsplit(b"\n", count + _TAIL_BREAKS)
        if len(lines) < count + _TAIL_BREAKS and self._from:
            return None
        if len(before) < len(HEAD) and not self._from:
            return self._window[len(HEAD) : -len(TAIL)], True
        return self._window[len(before) + 1 : -len(TAIL)], False

    def newest_first(self, before: Element | None = None, *, holding: Holding = ()) -> Iterator[Element]:
        """See `ListView`."""
        self._check_end()
        start = self.end if before is None else before.place - len(BETWEEN)
        data, step = b"", WINDOW
        while start > len(HEAD):
            until = start
            start = max(len(HEAD), self._from if until > self._from else until - step)
            step = min(2 * step, BLOCK)
            data = self._bytes(start, until) + data
            if _holds(data, holding):
                end = len(data)
                while (cut := data.rfind(BETWEEN, 0, end)) >= 0:
                    first = cut + len(BETWEEN)
                    yield Element(start + first, _shaped(data[first:end]))
                    end = cut
                data = data[:end]
            elif (cut := data.find(BETWEEN)) >= 0:
                # The line that begins before this block may hold it together with what is read next.
                data = data[:cut]
        if data:
            yield Element(start, _shaped(data))

    def oldest_first(self, after: Element | None = None, *, holding: Holding = ()) -> Iterator[Element]:
        """See `ListView`."""
        self._check_end()
        start = len(HEAD) if after is None else after.place + len(after.raw) + len(BETWEEN)
        for place, lines in blocks(self._bytes, start, self.end, holding):
            for raw in lines:
                yield Element(place, _shaped(raw))
                place += len(raw) + len(BETWEEN)

    def find(self, name: str, *, thorough: bool = True) -> Element | None:
        """See `ListView`."""
        self._check_end()
        for again in (False, True) if thorough else (False,):
            for element in self._elements_of(name, again):
                return element
        return None

    def is_doubled(self, name: str) -> bool:
        """See `ListView`."""
        return self._doubled(name)

    def all_of(self, name: str) -> list[Element]:
        """See `ListView`."""
        return [*self._elements_of(name, False)]

    def _elements_of(self, name: str, again: bool) -> Iterator[Element]:
        for place in self._places(name, again):
            if place >= self.end:
                raise Astray  # added since this view was made
            element = next(self.oldest_first(Element(place - len(BETWEEN), b"")))
            if has_name(self._names, element.raw, name):
                yield element

    def line(self, element: Element) -> int:
        """See `ListView`."""
        lines = 1
        for start in range(0, element.place, BLOCK):
            lines += self._bytes(start, min(start + BLOCK, element.place)).count(b"\n")
        return lines

    def check(self, element: Element) -> None:
        """See `ListView`."""
        parsed(element.raw)

    def _bytes(self, start: int, end: int) -> bytes:
        if start >= self._from:
            return self._window[start - self._from : end - self._from]
        data = self._read(self._descriptor, end - start, start)
        if len(data) < end - start:
            raise Astray
        return data


def blocks(
    read: Callable[[int, int], bytes], start: int, end: int, holding: Holding = ()
) -> Iterator[tuple[int, list[bytes]]]:
    """Go through the lines of a list from `start`, where one begins, to `end`, where one ends.

    Args:
        read: gives the bytes between two offsets.
        start: offset of the first line.
        end: offset behind the last one.
        holding: texts one of which must stand in a line; blocks without them are passed over.

    Returns:
        Offsets, and the lines that follow from there on.
    """
    place, data, step = start, b"", WINDOW
    at = start
    while at < end:
        until = min(end, at + step)
        data += read(at, until)
        at, step = until, min(2 * step, BLOCK)
        cut = data.rfind(BETWEEN) if at < end else len(data)
        if cut < 0:
            continue
        if _holds(data, holding):
            yield place, data[:cut].split(BETWEEN)
        place += cut + len(BETWEEN)
        data = data[cut + len(BETWEEN) :]


def parsed(raw: bytes) -> dict[str, Any]:
    """The values of an element.

    Raises:
        Astray: it is no JSON object.
    """
    try:
        values = from_json(raw)
    except ValueError:
        raise Astray from None
    if not isinstance(values, dict):
        raise Astray
    return values


def has_name(names: Names, raw: bytes, name: str) -> bool:
    """Whether an element has a name; one that cannot be parsed has none."""
    return name in _names_of(names, raw)


def _names_of(names: Names, raw: bytes) -> Iterable[str]:
    try:
        return names(parsed(raw))
    except Astray:
        return ()


def _shaped(raw: bytes) -> bytes:
    if raw[:1] != b"{" or raw[-1:] != b"}":
        raise Astray
    return raw


def _holds(data: bytes, holding: Holding) -> bool:
    return not holding or any(text in data for text in holding)
