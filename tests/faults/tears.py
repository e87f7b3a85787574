"""What is left of a write that a power cut interrupts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

SECTOR = 512
PAGE = 4096
RUBBISH = b"\xa5"
"""What lies on a disk where nothing was written yet; no UTF-8."""
_ENDS = b"{}[],\n"


@dataclass(frozen=True, slots=True)
class Tear:
    """Which parts of a write arrived.

    Attributes:
        kept: the ranges of the data that did.
        grown: bytes of the data that count for the file's size; a file that grew to them, but was not written, has
            `filling` there.
        filling: one byte.
    """

    kept: tuple[tuple[int, int], ...]
    grown: int
    filling: bytes = b"\0"

    def apply(self, content: bytes, offset: int, data: bytes) -> bytes:
        """The file after it."""
        size = max(len(content), offset + self.grown if self.grown else 0)
        new = bytearray(content.ljust(min(offset, size), b"\0").ljust(size, self.filling))
        for start, stop in self.kept:
            new[offset + start : offset + stop] = data[start:stop]
        return bytes(new[:size])


def tears(offset: int, data: bytes, size: int, chance: random.Random) -> list[Tear]:
    """What may be left of one write: nothing first, then all of it, then what lies between.

    Args:
        offset: where in the file it was to go.
        data: what was to be written.
        size: of the file before it.
        chance: chooses among the many combinations of sectors of a long write.
    """
    length = len(data)
    whole = Tear(((0, length),), length)
    found = [Tear((), 0), whole]
    if not length:
        return found[1:]
    grows = offset + length > size
    if grows:
        # The size, and what lies beyond the old one, reach the disk on ways of their own.
        found += [Tear((), length), Tear((), length, RUBBISH), Tear(((0, length),), 0)]
    for place in _places(offset, data):
        found.append(Tear(((0, place),), place))
        if grows:
            found += [Tear(((0, place),), length), Tear(((0, place),), length, RUBBISH)]
        found.append(Tear(((place, length),), length))
    found += [Tear(kept, length) for kept in _sectors(offset, length, chance)]
    return list(dict.fromkeys(found))


def _places(offset: int, data: bytes) -> list[int]:
    """Where a write may be torn: at each sector, beside what JSON is made of, and in the midst of a character."""
    length = len(data)
    sectors = range(SECTOR - offset % SECTOR, length, SECTOR)
    marks = [place + side for place, byte in enumerate(data) if byte in _ENDS for side in (0, 1)]
    wide = [place for place, byte in enumerate(data) if 0x80 <= byte < 0xC0]
    near = [*range(1, 5), *range(length - 4, length)]
    found = {*_few(sectors, 12), *_few(sorted({*marks}), 12), *wide[:1], *near}
    return sorted(place for place in found if 0 < place < length)


def _few(places: range | list[int], most: int) -> list[int]:
    """The first ones, the last ones, and some between."""
    if len(places) <= most:
        return list(places)
    third = most // 3
    between = places[third : len(places) - third]
    return [*places[:third], *between[:: len(between) // third + 1], *places[len(places) - third :]]


def _sectors(offset: int, length: int, chance: random.Random) -> Iterator[tuple[tuple[int, int], ...]]:
    """Some of the sectors, and not the others."""
    edges = [0, *range(SECTOR - offset % SECTOR, length, SECTOR), length]
    parts = list(pairwise(edges))
    if len(parts) < 3:
        return
    yield tuple(parts[::2])
    yield tuple(parts[1::2])
    for _ in range(4):
        yield tuple(part for part in parts if chance.random() < 0.5)
