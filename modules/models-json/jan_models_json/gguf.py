"""Read the header of a GGUF file: cheaply, and without believing it.

Source of the format: ggml's `docs/gguf.md`, versions 1 to 3, in either byte order. Only numbers and the few texts
that Jan uses become Python objects; vocabularies are stepped over. Whatever the header claims is compared with the
file's size first, so that neither time nor memory follow a hostile number.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from jan_models_json.quantization import BLOCKS, LAST_TYPE, NAMES
from jan_models_json.stream import Stream

MOST_KEYS = 10_000
MOST_TENSORS = 100_000
LONGEST_KEY = 1024
LONGEST_TEXT = 1 << 20
"""Bytes of a text that is kept, such as the chat template."""
MOST_BLOCKS = 4096

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_TEXTS = {
    "general.architecture": "architecture",
    "general.type": "type",
    "general.name": "name",
    "general.organization": "organization",
    "general.author": "author",
    "general.size_label": "size_label",
    "general.license": "license",
    "tokenizer.chat_template": "chat_template",
}
_COUNTS = ("block_count", "context_length", "embedding_length", "attention.head_count")
_SIZES = ("attention.head_count_kv", "attention.key_length", "attention.value_length", "vocab_size")
"""Counts that are only used to estimate memory: one that makes no sense is left out."""
_TOKENS = "tokenizer.ggml.tokens"


@dataclass(frozen=True, slots=True)
class Header:
    """What a header tells.

    Attributes:
        metadata: `architecture`, `name`, `context_length`, `quantization`, `chat_template`, `parameter_count`, … as far
            as the file gives them.
        parameters: elements of all tensors in this file.
        part: (number from 1, of how many) where the file is a part of a model, else None.
        big_endian: the numbers are in the byte order of few, mostly old, machines.
        early: it is in a format that llama.cpp has given up.
    """

    metadata: dict[str, Any]
    parameters: int
    part: tuple[int, int] | None
    big_endian: bool
    early: bool = False


def read_header(path: str) -> Header:
    """Read and check the header of one GGUF file. Blocks; call it in a thread.

    Raises:
        BadModelFile: the header is not one, contradicts itself, or describes data beyond the end of the file.
        OSError: the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        return _parse(Stream(path, file))


def _parse(data: Stream) -> Header:
    counts = _preamble(data)
    values = _values(data, counts[1])
    metadata = _metadata(data, values)
    parameters = _tensors(data, counts[0], _alignment(data, values))
    metadata["parameter_count"] = parameters
    part = None
    if values.get("split.count"):
        part = (int(values.get("split.no", 0)) + 1, int(values["split.count"]))
    if "architecture" not in metadata and (part is None or part[0] == 1):
        raise data.bad("the header names no architecture")
    return Header(metadata, parameters, part, data.order == ">", early=data.long == "I")


def _preamble(data: Stream) -> tuple[int, int]:
    if data.size < 24:
        raise data.bad(f"it has {data.size} bytes, too few for a GGUF file")
    magic = data.take(4)
    if magic != b"GGUF":
        pointer = "; it is a Git LFS pointer, the model itself was not downloaded" if magic == b"vers" else ""
        raise data.bad(f"it begins with {magic!r} instead of 'GGUF'{pointer}", 0)
    version: int = data.number("I")
    if version & 0xFFFF == 0:
        data.order = ">"
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version not in (1, 2, 3):
        raise data.bad(f"GGUF version {version}; 1 to 3 are known", 4)
    data.long = "I" if version == 1 else "Q"
    tensors: int = data.number(data.long)
    keys: int = data.number(data.long)
    if tensors > MOST_TENSORS or keys > MOST_KEYS:
        raise data.bad(f"it claims {tensors} tensors and {keys} keys", 8)
    return tensors, keys


def _values(data: Stream, count: int) -> dict[str, Any]:
    """Read the key-value pairs: every number, the texts that Jan uses, and None for everything stepped over."""
    values: dict[str, Any] = {}
    for _ in range(count):
        offset = data.position
        raw = data.text(LONGEST_KEY, "a key")
        try:
            key = raw.decode()
        except UnicodeDecodeError:
            raise data.bad(f"a key that is not text, {raw[:40]!r}", offset) from None
        if not key or key in values:
            raise data.bad(f"the key {key[:80]!a} twice" if key else "an empty key", offset)
        kind: int = data.number("I")
        value = None
        if kind in _NUMBERS:
            value = data.number(_NUMBERS[kind])
        elif kind == _ARRAY:
            length = _skip_array(data)
            value = length if key == _TOKENS else None
        elif kind != _STRING:
            raise data.bad(f"{key[:80]!a} has the unknown type {kind}", offset)
        elif key in _TEXTS:
            value = data.text(LONGEST_TEXT, f"{key} is a text").decode(errors="replace")
        else:
            data.skip(data.number(data.long))
        values[key] = value
    return values


def _skip_array(data: Stream) -> int:
    """Step over an array; returns the number of its elements."""
    kind: int = data.number("I")
    count: int = data.number(data.long)
    if kind in _NUMBERS:
        data.skip(count * struct.calcsize("<" + _NUMBERS[kind]))
    elif kind == _STRING:
        data.skip_strings(count)
    else:
        # ggml does not load arrays inside arrays either.
        raise data.bad(f"an array of the unknown type {kind}")
    return count


def _alignment(data: Stream, values: dict[str, Any]) -> int:
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise data.bad(f"general.alignment is {alignment!r}, which is no power of two")
    return alignment


def _metadata(data: Stream, values: dict[str, Any]) -> dict[str, Any]:
    found = {name: values[key] for key, name in _TEXTS.items() if isinstance(values.get(key), str) and values[key]}
    architecture = found.get("architecture", "")
    for name in _COUNTS:
        value = values.get(f"{architecture}.{name}")
        if value is None:
            continue
        most = MOST_BLOCKS if name == "block_count" else 1 << 31
        if not isinstance(value, int) or not 0 < value < most:
            raise data.bad(f"{architecture[:80]}.{name} is {value!r}")
        found[name.removeprefix("attention.")] = value
    for name in _SIZES:
        value = values.get(f"{architecture}.{name}") or (values.get(_TOKENS) if name == "vocab_size" else None)
        if isinstance(value, int) and 0 < value < 1 << 31:
            found[name.removeprefix("attention.")] = value
    pooling = values.get(f"{architecture}.pooling_type")
    if isinstance(pooling, int):
        found["pooling_type"] = pooling
    mixture = values.get("general.file_type")
    if mixture in NAMES:
        found["quantization"] = NAMES[mixture]
    return found


def _tensors(data: Stream, count: int, alignment: int) -> int:
    """Check that every tensor lies inside the file; return the number of their elements."""
    elements = 0
    ends: list[tuple[int, int, str]] = []
    names: set[bytes] = set()
    for _ in range(count):
        offset = data.position
        name = data.text(64, "the name of a tensor")
        shown = repr(name)[1:]
        if name in names:
            raise data.bad(f"the tensor {shown} twice", offset)
        names.add(name)
        rank: int = data.number("I")
        if not 1 <= rank <= 4:
            raise data.bad(f"the tensor {shown} has {rank} dimensions", offset)
        form = f"{data.order}{rank}{data.long}"
        shape = struct.unpack(form, data.take(struct.calcsize(form)))
        kind, begin = struct.unpack(f"{data.order}IQ", data.take(12))
        size = math.prod(shape)
        block, width = BLOCKS.get(kind, (1, 0))
        if not 0 < size < 1 << 62 or kind > LAST_TYPE or shape[0] % block:
            raise data.bad(f"the tensor {shown} has the type {kind} and the shape {shape}", offset)
        if begin % alignment:
            raise data.bad(f"the tensor {shown} begins at {begin}, which is no multiple of {alignment}", offset)
        elements += size
        ends.append((begin + size // block * width, offset, shown))
    if ends:
        begin = -(-data.position // alignment) * alignment
        end, offset, shown = max(ends)
        if begin + end > data.size:
            raise data.bad(f"the tensor {shown} ends at byte {begin + end}, the file at {data.size}", offset)
    return elements
