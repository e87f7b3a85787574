"""Where the elements of a list file begin, by name: small, and made anew from the file whenever it is in doubt."""

from __future__ import annotations

from array import array

_FIRST = 32
_SAME = 8


class Index:
    """Places by name. A name's place is a guess to be checked in the file: only 32 bits of a name are kept.

    It takes 18 to 36 bytes a name, however long the names are.

    Attributes:
        doubled: of the names that were noted twice, or look like another one, the 32 bits that are kept.
    """

    __slots__ = ("_count", "_hashes", "_mask", "_places", "doubled")

    def __init__(self) -> None:
        self.doubled = set[int]()
        self._reserve(_FIRST)

    @property
    def size(self) -> int:
        """Bytes of memory it takes."""
        return 12 * (self._mask + 1) + 64 * len(self.doubled) + 256

    def add(self, name: str, place: int) -> None:
        """Note that `name` is at `place`, an offset in the file.

        Of names that look the same only the lowest seven places and the highest are noted: a file in which one id
        stands a hundred thousand times must not take the square of that.
        """
        if 3 * self._count >= 2 * (self._mask + 1):
            hashes, places = self._hashes, self._places
            self._reserve(2 * (self._mask + 1))
            for number, at in zip(hashes, places, strict=True):
                if number:
                    self._put(number, at)
        self._put(_number(name), place)

    def places(self, name: str) -> list[int]:
        """The places where `name` may be, in the order in which they are in the file."""
        number, found = _number(name), []
        slot = number & self._mask
        while other := self._hashes[slot]:
            if other == number:
                found.append(self._places[slot])
            slot = slot + 1 & self._mask
        found.sort()
        return found

    def is_doubled(self, name: str) -> bool:
        """Whether `name` was noted twice; once in millions also where another one looks like it."""
        return _number(name) in self.doubled

    def _put(self, number: int, place: int) -> None:
        slot, same = number & self._mask, []
        while other := self._hashes[slot]:
            if other == number:
                self.doubled.add(number)
                same.append(slot)
            if len(same) == _SAME:
                last = max(same, key=self._places.__getitem__)
                self._places[last] = max(self._places[last], place)
                return
            slot = slot + 1 & self._mask
        self._hashes[slot] = number
        self._places[slot] = place
        self._count += 1

    def _reserve(self, slots: int) -> None:
        self._count = 0
        self._mask = slots - 1
        self._hashes = array("I", bytes(4 * slots))
        self._places = array("Q", bytes(8 * slots))


def _number(name: str) -> int:
    # Python's hashes of strings differ from process to process, so no client can choose names that collide.
    return hash(name) & 0xFFFFFFFF or 1
