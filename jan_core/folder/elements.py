"""The text of a list file: a JSON array, oldest first, one element a line.

    [
    {"id":"msg_1",…},
    {"id":"msg_2",…}
    ]

Jan writes this layout and no other, so that an element can be found from both ends without reading the rest. A person
may save any other; `scan` reads whatever is there.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic_core import from_json

HEAD = b"[\n"
"""What stands before the first element."""
BETWEEN = b",\n"
"""What stands between two elements. Inside an element on one line it cannot occur: JSON has no bare line ends."""
TAIL = b"\n]\n"
"""What follows the last element."""
EMPTY = b"[\n]\n"
"""A list without elements."""

_SPACE = re.compile(r"[ \t\r\n]*+")
_OUTSIDE = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+")|[ \t\r\n]++', re.DOTALL)
# What an append that broke off can leave behind the last element: its three bytes that replace the old end, in part
# or not at all, and anything but a further line.
_BROKEN_OFF = re.compile(rb"[\x00-\xff]{0,3}[^\n]*+(?:\n[\x00-\xff]{0,2})?\x00*")
_OWN_BEGINNING = '{"id":"'
_decode = json.JSONDecoder().raw_decode


@dataclass(slots=True)
class Scanned:
    """What a text holds.

    Attributes:
        elements: the elements, each on one line and otherwise as it was written.
        lines: for each of them, the line of the text on which it begins, from 1.
        fault: why the text is no JSON array; None where it is one, or where it is empty.
        fault_line: where that shows, from 1.
        broken_off: True where the text is a list as Jan writes it, up to an append that broke off.
    """

    elements: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    fault: str | None = None
    fault_line: int = 0
    broken_off: bool = False


def joined(elements: Sequence[bytes]) -> bytes:
    """The text of a list."""
    return HEAD + BETWEEN.join(elements) + TAIL if elements else EMPTY


def scan(data: bytes) -> Scanned:
    """Read a text in any layout, also one that is damaged.

    Of a text that breaks off, the elements before that place are found; behind a damaged place in its middle, those
    that stand on a line of their own, as Jan writes them. What follows a complete array is not looked at.
    """
    found = _scan_lines(data)
    if found is not None:
        return found
    found = Scanned()
    text = _decoded(data)
    place = _scan_array(text, found)
    if found.fault is not None and found.elements:
        # The name of the new element's first field: its { is what did not arrive.
        part = found.elements[-1][:1] == b'"'
        whole = HEAD + BETWEEN.join(found.elements[:-1] if part else found.elements)
        found.broken_off = data.startswith(whole) and _BROKEN_OFF.fullmatch(data, len(whole)) is not None
        if found.broken_off and part:
            found.elements.pop()
            found.lines.pop()
    if found.fault is not None and place is not None:
        _rescue(text, place, found)
    return found


def _scan_lines(data: bytes) -> Scanned | None:
    """Read a list as Jan writes it, which is quicker; None where it is not one."""
    if data == EMPTY or not data.startswith(HEAD) or not data.endswith(TAIL):
        return None
    elements = data[len(HEAD) : -len(TAIL)].split(BETWEEN)
    try:
        for raw in elements:
            from_json(raw)
            if raw[:1] != b"{" or raw[-1:] != b"}":
                return None
    except ValueError:
        return None
    return Scanned(elements, [*range(2, len(elements) + 2)])


def _decoded(data: bytes) -> str:
    # What is no UTF-8 becomes characters that no element may have.
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _scan_array(text: str, found: Scanned) -> int | None:
    """Read up to the array's end, or to a fault: then its place is returned, unless it lies behind the array."""
    place = _skip(text, 0)
    line, counted = 1, 0

    def fault(what: str) -> int:
        found.fault, found.fault_line = what, line + text.count("\n", counted, place)
        return place

    if place == len(text):
        return None
    if text[place] != "[":
        return fault("it does not begin with [")
    place = _skip(text, place + 1)
    if text[place : place + 1] != "]":
        while True:
            line, counted = line + text.count("\n", counted, place), place
            end = _element(text, place, line, found)
            if end is None:
                return fault("no complete element follows here" if place < len(text) else "it breaks off here")
            begin, place = place, _skip(text, end)
            after = text[place : place + 1]
            if after == "]":
                break
            if after != ",":
                if text[begin] not in "{[":
                    # Only these say themselves where they end. This may be the rest of something.
                    _drop(found)
                    place = begin
                    return fault("no complete element follows here")
                return fault("neither , nor ] follows the element" if after else "it breaks off here")
            place = _skip(text, place + 1)
    place = _skip(text, place + 1)
    if place < len(text):
        fault("more follows the array")
    return None


def _element(text: str, start: int, line: int, found: Scanned) -> int | None:
    try:
        end: int = _decode(text, start)[1]
        raw = text[start:end]
        if "\n" in raw or "\r" in raw:
            raw = _OUTSIDE.sub(lambda match: match[1] or "", raw)
        found.elements.append(raw.encode())
    except (ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        return None
    found.lines.append(line)
    return end


def _drop(found: Scanned) -> None:
    found.elements.pop()
    found.lines.pop()


def _rescue(text: str, place: int, found: Scanned) -> None:
    """Take the elements behind a damaged place that stand on lines of their own, as Jan writes them."""
    line = found.fault_line
    if place and text[place - 1] != "\n":
        place = text.find("\n", place) + 1
        line += 1
        if not place:
            return
    for number, one in enumerate(text[place:].split("\n"), line):
        raw = one.strip(" \t\r").removesuffix(",")
        if raw.startswith(_OWN_BEGINNING) and (end := _element(raw, 0, number, found)) is not None and end < len(raw):
            _drop(found)


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place
