"""What a GGUF file says of its vocabulary: the library tells a token's text, but not what the token is for.

The worker reads it, of a file that the models endpoint has looked at; a wrong number costs the worker at most.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from typing import Any

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
CONTROL = 3
"""The type of a token that is no text, such as the end of a turn (ggml's docs/gguf.md)."""
_ARRAYS = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type")
_FLAGS = ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_space_prefix")


@dataclass(frozen=True)
class Header:
    """What the header tells of the vocabulary.

    Attributes:
        special: number by text of every token that is no text.
        add_begin: whether a prompt begins with the token for that.
        add_space: whether a text begins with a space.
    """

    special: dict[str, int] = field(default_factory=dict)
    add_begin: bool = True
    add_space: bool = True


def read_header(path: str) -> Header:
    """Read a GGUF file's header, version 1 to 3.

    Raises:
        ValueError, struct.error, IndexError: it is none, or damaged.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        values = _values(data)
    tokens, types = (values.get(name) or [] for name in _ARRAYS)
    special = {
        text.decode("utf-8", "replace"): n
        for n, (text, kind) in enumerate(zip(tokens, types, strict=False))
        if kind == CONTROL
    }
    add_begin, add_space = (bool(values.get(name, True)) for name in _FLAGS)
    return Header(special, add_begin, add_space)


def _values(data: mmap.mmap) -> dict[str, Any]:
    if data[:4] != b"GGUF":
        raise ValueError("not a GGUF file")
    (version,) = struct.unpack_from("<I", data, 4)
    long = "<I" if version == 1 else "<Q"
    width = struct.calcsize(long)
    (count,) = struct.unpack_from(long, data, 8 + width)
    at = 8 + 2 * width
    found: dict[str, Any] = {}

    def text() -> bytes:
        nonlocal at
        (length,) = struct.unpack_from(long, data, at)
        at += width + length
        if at > len(data):
            raise ValueError("a text goes on beyond the end of the file")
        return data[at - length : at]

    def number(form: str) -> Any:
        nonlocal at
        (value,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        return value

    for _ in range(count):
        key = text().decode("utf-8", "replace")
        kind = number("<I")
        if kind == _STRING:
            text()
        elif kind != _ARRAY:
            value = number("<" + _NUMBERS[kind])
            if key in _FLAGS:
                found[key] = value
        else:
            kind, length = number("<I"), number(long)
            if kind == _STRING:
                values = [text() for _ in range(length)]
                if key in _ARRAYS:
                    found[key] = values
            elif key in _ARRAYS:
                form = f"<{length}{_NUMBERS[kind]}"
                found[key] = struct.unpack_from(form, data, at)
                at += struct.calcsize(form)
            else:
                at += length * struct.calcsize(_NUMBERS[kind])
    return found
