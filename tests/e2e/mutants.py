"""GGUF files with one thing wrong: four or eight bytes of the real model's header, or its end missing."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import gguf


class Mutant(NamedTuple):
    """What is written over the real file, or where that is cut off."""

    name: str
    offset: int = 0
    value: bytes = b""
    length: int | None = None


_NUMBERS: list[tuple[str, int]] = [
    ("llama.block_count", 0),
    ("llama.embedding_length", 0),
    ("llama.attention.head_count", 0),
    ("llama.block_count", 31),
    ("llama.block_count", 2**31),
    ("llama.block_count", 2**32 - 1),
    ("llama.embedding_length", 575),
    ("llama.embedding_length", 2**31),
    ("llama.feed_forward_length", 0),
    ("llama.feed_forward_length", 2**31 - 1),
    ("llama.attention.head_count", 7),
    ("llama.attention.head_count", 2**32 - 1),
    ("llama.attention.head_count_kv", 0),
    ("llama.attention.head_count_kv", 2**31),
    ("llama.rope.dimension_count", 0),
    ("llama.rope.dimension_count", 2**31),
    ("llama.vocab_size", 0),
    ("llama.vocab_size", 2**32 - 1),
    ("llama.context_length", 0),
    ("tokenizer.ggml.bos_token_id", 2**31),
    ("tokenizer.ggml.eos_token_id", 2**32 - 1),
    ("general.file_type", 2**31),
]
"""Header fields and what they are set to; 32 bits each."""


def mutants(path: Path, count: int) -> list[Mutant]:
    """So many mutants of a file. Of the first four, two are noticed while listing it and two only by the engine."""
    reader = gguf.GGUFReader(path)
    size, tensor = path.stat().st_size, reader.tensors[0].field
    start = {
        name: sum(part.nbytes for part in field.parts[:-1]) + field.offset for name, field in reader.fields.items()
    }

    def part(index: int) -> int:
        return tensor.offset + sum(one.nbytes for one in tensor.parts[:index])

    numbers = [Mutant(f"{name} = {value}", start[name], struct.pack("<I", value)) for name, value in _NUMBERS]
    tokens = reader.fields["tokenizer.ggml.tokens"]
    count_at = tokens.offset + sum(one.nbytes for one in tokens.parts[:4])
    others = [
        Mutant("a tensor's offset beyond the file", part(5), struct.pack("<Q", 1 << 40)),
        Mutant("cut off in the tensors", length=size // 2),
        Mutant("a tensor's type 99", part(4), struct.pack("<I", 99)),
        Mutant("a tensor of 99 dimensions", part(2), struct.pack("<I", 99)),
        Mutant("a tensor with a dimension of 0", part(3), struct.pack("<Q", 0)),
        Mutant("a tensor with a dimension of 2**62", part(3), struct.pack("<Q", 1 << 62)),
        Mutant("a tensor's offset off by one", part(5), struct.pack("<Q", 1)),
        Mutant("a list of 2**60 tokens", count_at, struct.pack("<Q", 1 << 60)),
        Mutant("a key of 2**63 characters", 24, struct.pack("<Q", 1 << 63)),
        Mutant("version 99", 4, struct.pack("<I", 99)),
        Mutant("no tensors", 8, struct.pack("<Q", 0)),
        Mutant("2**63 tensors", 8, struct.pack("<Q", 1 << 63)),
        Mutant("2**62 fields", 16, struct.pack("<Q", 1 << 62)),
        Mutant("cut off in the header", length=1_000_000),
        Mutant("cut off at its last byte", length=size - 1),
        Mutant("cut off in the first field", length=30),
    ]
    first = [numbers[0], others[0], numbers[3], numbers[10]]
    return (first + [one for one in [*numbers, *others] if one not in first])[:count]
