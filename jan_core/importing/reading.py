"""Foreign files: JSON, JSON by lines, and the flat YAML of a model; what is wrong is told with the line."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LARGEST = 1 << 28
"""Bytes of a file that is read as a whole, at most."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(Exception):
    """A foreign file, or a line of it, is not to be understood.

    Args:
        path: the file.
        why: what was found.
        line: where; None where no line is at fault.
    """

    def __init__(self, path: Path, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.path = path
        self.why = why
        self.line = line


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, with or without a byte-order mark.

    Raises:
        Unreadable: it is not there, cannot be read, or holds something else.
    """
    found = _parsed(path, _text(path), 0)
    if not isinstance(found, dict):
        raise Unreadable(path, f"it holds {_kind(found)} where an object {{…}} belongs")
    return found


def read_array(path: Path) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    """The objects in a file that holds a JSON array, however it is laid out.

    Yields:
        The line on which each begins, and the object, or what is wrong with the element. Where the text ends or
        breaks off, what comes before it is yielded first, and then what is wrong.

    Raises:
        Unreadable: the file cannot be read, or holds no array.
    """
    text = _text(path)
    at = _skip(text, 0)
    if at == len(text):
        return
    if text[at] != "[":
        raise Unreadable(path, "it holds no array […]", text.count("\n", 0, at) + 1)
    counted = at
    line = text.count("\n", 0, at) + 1
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return
    decoder = json.JSONDecoder()
    while True:
        line, counted = line + text.count("\n", counted, at), at
        try:
            found, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            yield error.lineno, Unreadable(path, error.msg, error.lineno)
            return
        except (ValueError, RecursionError) as error:
            yield line, Unreadable(path, _other(error), line)
            return
        yield line, _object(path, found, line)
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return
        if text[at : at + 1] != ",":
            line += text.count("\n", counted, at)
            broken = "the array breaks off" if at == len(text) else "a comma or the array's end is missing"
            yield line, Unreadable(path, broken, line)
            return
        at = _skip(text, at + 1)


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    """The objects in a file that holds one on each line. Empty lines are passed over.

    Yields:
        The number of the line, from 1, and the object, or what is wrong with the line.

    Raises:
        Unreadable: the file cannot be read.
    """
    content = _bytes(path).removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found = _parsed(path, _decoded(path, line, number), number)
        except Unreadable as error:
            yield number, error
            continue
        yield number, _object(path, found, number)


def read_flat_yaml(path: Path) -> dict[str, Any]:
    """The fields of a file of plain `name: value` lines, with lists of plain values: what the app writes of a model.

    What is nested deeper is passed over: nothing of it is needed here.

    Raises:
        Unreadable: it cannot be read.
    """
    found: dict[str, Any] = {}
    name = ""
    for line in _text(path).splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#") or bare in ("---", "..."):
            continue
        if bare.startswith("- ") and name and isinstance(found.get(name), list):
            found[name].append(_scalar(bare[2:]))
            continue
        match = re.match(r"([A-Za-z_][\w.-]*):(?:\s+(.*))?$", line)
        if match is None:
            name = name if line[:1].isspace() else ""
            continue
        name = match[1]
        value = (match[2] or "").strip()
        found[name] = _scalar(value) if value and not value.startswith("#") else []
    return found


def _scalar(text: str) -> Any:
    text = text.strip()
    if text[:1] == '"':
        try:
            value, _ = json.JSONDecoder().raw_decode(text)
            return value
        except ValueError:
            return text.strip('"')
    if text[:1] == "'":
        end = re.match(r"'((?:[^']|'')*)'", text)
        return end[1].replace("''", "'") if end else text.strip("'")
    text = re.split(r"\s#", text, maxsplit=1)[0].strip()
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part) for part in text[1:-1].split(",") if part.strip()]
    plain = {"true": True, "false": False, "null": None, "~": None, "": None}
    if text.lower() in plain:
        return plain[text.lower()]
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


def _text(path: Path) -> str:
    content = _bytes(path).removeprefix(b"\xef\xbb\xbf")
    return _decoded(path, content, 1)


def _bytes(path: Path) -> bytes:
    try:
        # Opening a pipe would wait for somebody to write to it.
        if not path.is_file():
            raise Unreadable(path, "it is not there" if not os.path.lexists(path) else "it is no file")
        if path.stat().st_size > LARGEST:
            raise Unreadable(path, f"it has more than {LARGEST >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(path, f"it cannot be read: {error.strerror or error}") from None


def _decoded(path: Path, content: bytes, first: int) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Unreadable(path, "it is not UTF-8", first + content.count(b"\n", 0, error.start)) from None


def _parsed(path: Path, text: str, line: int) -> Any:
    try:
        return _clean(json.loads(text))
    except json.JSONDecodeError as error:
        raise Unreadable(path, error.msg, max(line, 1) + error.lineno - 1) from None
    except (ValueError, RecursionError) as error:
        raise Unreadable(path, _other(error), line or None) from None


def _object(path: Path, found: Any, line: int) -> dict[str, Any] | Unreadable:
    if isinstance(found, dict):
        cleaned: dict[str, Any] = _clean(found)
        return cleaned
    return Unreadable(path, f"there is {_kind(found)} where an object {{…}} belongs", line)


def _clean(value: Any) -> Any:
    """The same without what JSON does not have: halves of characters, and numbers that are none."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", name): _clean(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _kind(value: Any) -> str:
    names = {str: "a text", list: "an array", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _other(error: Exception) -> str:
    # What JSON allows and Python does not take: more levels than it may recurse, a number of 5,000 digits.
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
