"""Read the header of a GGML file, the formats before GGUF, and check every tensor, without believing it.

Sources of the formats: the loaders of ggml's examples (gpt-2, gpt-j, gpt-neox, dolly-v2, mpt, replit, starcoder), and
of llama.cpp and ggllm.cpp before GGUF. The files do not say what model they hold: each known layout is tried, and the
names of the tensors decide. Those loaders believe the file: a tensor of three dimensions writes over their stack, so
whatever is not exactly as it must be is refused here.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from typing import Any

from jan_models_json.gguf import Header
from jan_models_json.quantization import BLOCKS, NAMES
from jan_models_json.stream import BadModelFile, Stream

MAGICS = {b"lmgg": "GGML", b"fmgg": "GGMF", b"tjgg": "GGJT", b"ccgg": "GGCC"}
"""The first four bytes, and what the format is called."""
LARGEST_VOCABULARY = 1 << 20
LONGEST_WORD = 1024
LONGEST_NAME = 128
_SHARED = 2048
"""The library gives MPT and Replit no more context than this, whatever the file says."""
_MIXTURES = {10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K"}
"""What ggml's examples call the types that llama.cpp has several mixtures of."""


@dataclass(frozen=True)
class _Layout:
    """How a family of models is written.

    Attributes:
        numbers: names of the 32-bit numbers after the magic (and version).
        names: how the tensors' names begin.
        again: the size of the vocabulary comes again before it.
        scores: a number follows each word.
    """

    family: str
    numbers: str
    names: tuple[str, ...]
    again: bool = False
    scores: bool = False


_LLAMA = ("tok_embeddings.", "norm.", "output.", "layers.")
_FALCON = ("transformer.word_embeddings", "transformer.h.", "transformer.ln_f", "lm_head")
_LAYOUTS = (
    _Layout("gpt2", "vocab ctx embd head layer ftype", ("model/",), again=True),
    _Layout("gptj", "vocab ctx embd head layer rot ftype", ("transformer.", "lm_head"), again=True),
    _Layout("gpt_neox", "vocab ctx embd head layer rot residual ftype", ("gpt_neox.", "embed_out")),
    _Layout("mpt", "embd ctx head layer vocab alibi clip ftype", ("transformer.",)),
    _Layout("replit", "embd ctx head layer vocab ftype", ("transformer.",), scores=True),
    _Layout("falcon", "vocab embd head head_kv layer kind ftype", _FALCON),
    _Layout("llama", "vocab embd mult head layer rot ftype", _LLAMA),
)
_LATER = (
    _Layout("llama", "vocab embd mult head layer rot ftype", _LLAMA, scores=True),
    _Layout("falcon", "vocab embd head head_kv layer kind ftype", _FALCON, scores=True),
)
_BOUNDS = {
    "vocab": LARGEST_VOCABULARY,
    "ctx": 1 << 20,
    "embd": 1 << 16,
    "head": 1 << 10,
    "layer": 1 << 10,
}
_FAMILIES = "dolly-v2, falcon, gpt2, gpt_neox, gptj, llama, mpt, replit, starcoder"


def begins_as_ggml(path: str) -> bool:
    """Whether a file begins as GGML files do; False where it cannot be read. Blocks for a moment."""
    try:
        # A pipe is opened without waiting for somebody to write to it.
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return False
    try:
        return os.read(file, 4) in MAGICS
    except OSError:
        return False
    finally:
        os.close(file)


def read_ggml(path: str) -> Header:
    """Read and check one GGML file. Blocks; call it in a thread.

    Returns:
        `metadata` has `architecture` (the model type), `format`, `context_length`, `embedding_length`, `block_count`,
        `head_count`, `quantization` and `parameter_count` as far as the format tells them.

    Raises:
        BadModelFile: it is of no known layout, or its tensors are not what they must be.
        OSError: the file cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        begin = file.read(4)
        magic = MAGICS.get(begin)
        if magic is None:
            raise BadModelFile(path, 0, f"it begins with {begin!r}, as no GGML file does")
        errors: list[BadModelFile] = []
        for layout in _LAYOUTS if magic == "GGML" else _LATER:
            file.seek(0)
            data = Stream(path, file)
            data.long = "I"
            try:
                return _read(data, magic, layout)
            except BadModelFile as error:
                errors.append(error)
    furthest = max(errors, key=lambda error: error.offset)
    if furthest.offset > 64:
        raise furthest
    raise BadModelFile(path, 4, f"it begins as a {magic} file, but is no model of a known type ({_FAMILIES})")


def _read(data: Stream, magic: str, layout: _Layout) -> Header:
    data.skip(4)
    if magic != "GGML":
        version: int = data.number("I")
        if version not in {"GGMF": (1,), "GGJT": (1, 2, 3), "GGCC": (10,)}[magic]:
            raise data.bad(f"{magic} version {version}")
    numbers: dict[str, int] = {}
    for name in layout.numbers.split():
        value: int = data.number("i")
        if name in _BOUNDS and not 0 < value < _BOUNDS[name]:
            raise data.bad(f"the number {value} for {name}")
        numbers[name] = value
    if not 0 <= numbers["ftype"] < 100_000:
        raise data.bad(f"the number {numbers['ftype']} for its quantization")
    if magic == "GGCC":
        if layout.family != "falcon":
            raise data.bad("this format is Falcon's")
        return Header(_metadata(magic, "falcon", numbers), 0, None, False, early=True)
    family = _vocabulary(data, layout, numbers["vocab"])
    parameters = _tensors(data, layout, 32 if magic == "GGJT" else 1)
    metadata = _metadata(magic, family, numbers)
    metadata["parameter_count"] = parameters
    return Header(metadata, parameters, None, False, early=True)


def _metadata(magic: str, family: str, numbers: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "architecture": family,
        "format": magic,
        "embedding_length": numbers["embd"],
        "block_count": numbers["layer"],
        "head_count": numbers["head"],
    }
    if "ctx" in numbers:
        found["context_length"] = min(numbers["ctx"], _SHARED) if family in ("mpt", "replit") else numbers["ctx"]
    mixture = numbers["ftype"] % 1000
    name = NAMES.get(mixture) if family in ("llama", "falcon") else _MIXTURES.get(mixture, NAMES.get(mixture))
    if name is not None:
        found["quantization"] = name
    return found


def _vocabulary(data: Stream, layout: _Layout, size: int) -> str:
    """Step over the words; return the family, which a few of them tell more exactly."""
    if layout.again and (again := data.number("i")) != size:
        raise data.bad(f"{again} words where the header has {size}")
    if size * 4 > data.size - data.position:
        raise data.bad(f"a vocabulary of {size} words")
    family = layout.family
    for _ in range(size):
        word = data.text(LONGEST_WORD, "a word")
        if layout.scores:
            data.skip(4)
        if family == "gpt2" and word in (b"<fim_prefix>", b"<fim-prefix>", b"<|system|>"):
            family = "starcoder"
        elif family == "gpt_neox" and word == b"### End":
            family = "dolly-v2"
    return family


def _tensors(data: Stream, layout: _Layout, alignment: int) -> int:
    """Check every tensor until the end of the file; return the number of their elements."""
    elements = 0
    while data.position < data.size:
        offset = data.position
        rank, length, kind = struct.unpack("<3i", data.take(12))
        if not (1 <= rank <= 2 and 0 < length <= LONGEST_NAME):
            raise data.bad(f"a tensor of {rank} dimensions with a name of {length} bytes", offset)
        shape = struct.unpack(f"<{rank}i", data.take(4 * rank))
        name = data.take(length).decode("latin-1")
        block, width = BLOCKS.get(kind, (1, 0))
        if not name.isascii() or not name.startswith(layout.names):
            raise data.bad(f"a tensor called {name!a:.60}", offset)
        if kind > 15 or not width or min(shape) < 1 or shape[0] % block:
            raise data.bad(f"the tensor {name} has the type {kind} and the shape {shape}", offset)
        data.skip(-data.position % alignment)
        data.skip(math.prod(shape) // block * width)
        elements += math.prod(shape)
    if not elements:
        raise data.bad("it has no tensors")
    return elements
