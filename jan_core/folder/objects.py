"""Files that hold one object: read whatever a person's editor or another program made of them, and written whole.

What is not known stays: whoever changes an object reads the values, changes those it knows, and writes all of them.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Callable
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from jan_core.folder.calls import DISK
from jan_core.folder.replace import replace_file
from jan_core.folder.signature import Signature, signature_of

LARGEST = 16 << 20
"""Bytes of an object's file, at most."""
AT_ONCE = 1 << 16
"""Bytes that are read at once, at most: less than a millisecond to make values of them."""
DEEPEST = 200
"""Brackets inside one another, at most; as in a request."""


class Damaged(Exception):
    """A file is not what it should be.

    Attributes:
        path: of the file.
        line: where it is wrong, from 1.
        what: what is wrong, a part of a sentence.
    """

    def __init__(self, path: str, line: int, what: str) -> None:
        super().__init__(f"{path}, line {line}: {what}")
        self.path = path
        self.line = line
        self.what = what


class Oversized(Exception):
    """An object has become too large for a file, which could not be read any more.

    Args:
        size: bytes that it would have.
        largest: bytes that it may have.
    """

    def __init__(self, size: int, largest: int) -> None:
        super().__init__(f"its file would have {size} bytes, and {largest} are the most")


def read_values(path: str) -> dict[str, Any]:
    """The values of an object's file; see `read_object`."""
    return read_object(path)[0]


def values_there(path: str) -> dict[str, Any] | None:
    """The values of an object's file, None where there is no such file; see `read_object`."""
    try:
        return read_values(path)
    except FileNotFoundError:
        return None


def read_object(path: str, *, at_once: bool = False) -> tuple[dict[str, Any], Signature, bytes]:
    """Read the file of an object. Blocks; call it in a thread, or with `at_once`.

    A byte order mark, line ends of Windows and any layout are accepted.

    Args:
        path: of the file.
        at_once: raise `BlockingIOError` rather than wait for a disk, or read more than 64 KiB: for the event loop.

    Returns:
        Its values, the signature of the file from before it was read, and its bytes.

    Raises:
        Damaged: it does not hold one JSON object in UTF-8, or has more than 16 MiB.
        OSError: as `read_content`.
    """
    content, seen = read_content(path, at_once=at_once)
    return values_in(path, content), seen, content


def read_content(path: str, *, at_once: bool = False) -> tuple[bytes, Signature]:
    """Read the bytes of an object's file, which may hold anything. Blocks, unless `at_once`.

    Args:
        path: of the file.
        at_once: raise `BlockingIOError` rather than wait for a disk, or read more than 64 KiB: for the event loop.

    Returns:
        Its bytes, and the signature of the file from before it was read.

    Raises:
        Damaged: it has more than 16 MiB, or is none.
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        BlockingIOError: see `at_once`.
    """
    descriptor = DISK.open(path)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise Damaged(path, 1, "this is no file")
        if found.st_size > LARGEST:
            raise Damaged(path, 1, f"the file has {found.st_size} bytes, and {LARGEST} are the most")
        content = _content(descriptor, found.st_size) if at_once else DISK.read(descriptor, LARGEST, 0)
    finally:
        DISK.close(descriptor)
    return content, signature_of(found)


def _content(descriptor: int, size: int) -> bytes:
    """All of an open file, without waiting."""
    if size > AT_ONCE:
        raise BlockingIOError(errno.EAGAIN, "it is too large to be read at once")
    content = DISK.read_at_once(descriptor, size + 1, 0)
    if len(content) != size:
        raise BlockingIOError(errno.EAGAIN, "somebody is writing it")
    return content


def write_object(
    path: str,
    values: dict[str, Any],
    *,
    lasting: bool = True,
    largest: int = LARGEST,
    before: Callable[[], object] | None = None,
) -> bytes:
    """Write the file of an object, in one step and durably. Blocks; call it in a thread.

    Args:
        path: of the file.
        values: what it is to hold.
        lasting: see `replace_file`.
        largest: bytes that it may have; no more than `LARGEST`, which are read.
        before: see `replace_file`.

    Returns:
        What the file holds now.

    Raises:
        Oversized: it would have more; the file is as it was.
        OSError: see `replace_file`.
    """
    data = _written(values) + b"\n"
    if len(data) > largest:
        raise Oversized(len(data), largest)
    replace_file(path, data, lasting=lasting, before=before)
    return data


def _written(values: dict[str, Any]) -> bytes:
    """Values as the file has them, laid out for people."""
    try:
        # Ten times as fast as `json`, which has its layout from Python; only that one refuses what JSON does not have.
        data = to_json(values, indent=2, inf_nan_mode="constants")
    except PydanticSerializationError:
        pass
    else:
        if b"NaN" not in data and b"Infinity" not in data:
            return data
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False).encode()


def line_of(content: bytes, field: str) -> int:
    """The line, from 1, on which a field of the object is, as far as a search for its name finds it; else 1."""
    found = re.search(rb'"' + re.escape(field.encode()) + rb'"\s*:', content)
    return content.count(b"\n", 0, found.start()) + 1 if found else 1


def values_in(path: str, content: bytes) -> dict[str, Any]:
    """The values that the bytes of an object's file stand for.

    Raises:
        Damaged: they are not one JSON object in UTF-8.
    """
    if not content.strip():
        raise Damaged(path, 1, "the file is empty")
    try:
        values = json.loads(content.decode("utf-8-sig"))
        # What Python reads but JSON does not have (NaN, halves of characters) would break a reply later.
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise Damaged(path, error.lineno, f"column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise Damaged(path, content.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    except RecursionError:
        raise Damaged(path, 1, "nested too deeply") from None
    except ValueError as error:  # UnicodeEncodeError is one too
        raise Damaged(path, 1, f"a value that JSON does not allow: {str(error)[:100]!a}") from None
    if not isinstance(values, dict):
        raise Damaged(path, 1, f"{_kind(values)} where an object {{…}} belongs")
    if content.count(b"[") + content.count(b"{") > DEEPEST and _depth(values) > DEEPEST:
        raise Damaged(path, 1, f"nested more than {DEEPEST} deep")
    return values


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list):
        return "an array"
    return "a string" if isinstance(value, str) else "a number"


def _depth(values: Any) -> int:
    depth, level = 0, [values]
    while level:
        depth += 1
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        level = inner
    return depth
