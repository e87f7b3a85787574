"""Read the header of a GGML file, the formats before GGUF, and check every tensor, without believing it.

Sources of the formats: the loaders of ggml's examples (gpt-2, gpt-j, gpt-neox, dolly-v2, mpt, replit, starcoder), and
of llama.cpp and ggllm.cpp before GGUF. The files do not say what model they hold: each known layout is tried, and the
names of the tensors decide. Those loaders believe the file: a tensor of three dimensions writes over their stack, and
one that is missing is taken for whatever lies in memory. So what is not exactly as it must be is refused here.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from typing import Any

from jan_models_json.ggml_tensors import expected, falcon_kind
from jan_models_json.gguf import Header
from jan_models_json.quantization import BLOCKS, NAMES
from jan_models_json.stream import BadModelFile, Stream

MAGICS = {b"lmgg": "GGML", b"fmgg": "GGMF", b"tjgg": "GGJT", b"ccgg": "GGCC"}
"""The first four bytes, and what the format is called."""
LARGEST_VOCABULARY = 1 << 20
LONGEST_WORD = 1024
LONGEST_NAME = 128
_MIXTURES = {10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K"}
"""What ggml's examples call the types that llama.cpp has several mixtures of."""


@dataclass(frozen=True)
class _Layout:
    """How a family of models is written.

    Attributes:
        numbers: names of the 32-bit numbers after the magic (and version).
        again: the size of the vocabulary comes again before it.
        scores: a number follows each word.
    """

    family: str
    numbers: str
    again: bool = False
    scores: bool = False


_FALCON = "vocab embd head head_kv layer kind ftype"
_LLAMA = "vocab embd mult head layer rot ftype"
_LAYOUTS = {
    "GGML": (
        _Layout("gpt2", "vocab ctx embd head layer ftype", again=True),
        _Layout("gptj", "vocab ctx embd head layer rot ftype", again=True),
        _Layout("gpt_neox", "vocab ctx embd head layer rot residual ftype"),
        _Layout("mpt", "embd ctx head layer vocab alibi clip ftype"),
        _Layout("replit", "embd ctx head layer vocab ftype", scores=True),
        _Layout("falcon", _FALCON),
        _Layout("llama", _LLAMA),
    ),
    "GGMF": (_Layout("llama", _LLAMA, scores=True), _Layout("falcon", _FALCON, scores=True)),
    "GGJT": (_Layout("llama", _LLAMA, scores=True), _Layout("falcon", _FALCON, scores=True)),
    "GGCC": (_Layout("falcon", _FALCON + " merges", scores=True),),
}
_VERSIONS = {"GGMF": (1,), "GGJT": (1, 2, 3), "GGCC": (10,)}
_BOUNDS = {
    "vocab": LARGEST_VOCABULARY,
    "ctx": 1 << 20,
    "embd": 1 << 16,
    "head": 1 << 10,
    "head_kv": 1 << 10,
    "layer": 1 << 10,
    "mult": 1 << 20,
    "merges": 1 << 20,
}
_MOST_CACHED = 1 << 31
"""Numbers in each half of a KV cache: two loaders count them with 32 bits."""
_KINDS = {0: 0, 1: 1, 2: 2, 3: 3, 7: 8, 8: 6, 9: 7, 10: 10, 11: 11, 12: 12, 13: 13, 14: 14}
"""The type of the large tensors, by what ggml's examples call the file's quantization."""
_QUANTIZED_SINCE = 2
"""The version of the quantized types that the library reads; they took more bytes before."""
_SURE = 100
"""Words, after which a layout is taken for the file's own: what goes wrong then is wrong with the file."""
_FAMILIES = {
    "GGML": "dolly-v2, falcon, gpt2, gpt_neox, gptj, llama, mpt, replit or starcoder",
    "GGMF": "falcon or llama",
    "GGJT": "falcon or llama",
}


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
        errors: list[tuple[int, int, BadModelFile]] = []
        for layout in _LAYOUTS[magic]:
            file.seek(0)
            data = Stream(path, file)
            data.long = "I"
            try:
                return _read(data, magic, layout)
            except BadModelFile as error:
                errors.append((data.strings, error.offset, error))
    words, _, furthest = max(errors, key=lambda error: error[:2])
    if words >= _SURE or len(errors) == 1:
        raise furthest
    raise BadModelFile(
        path, 4, f"it begins as a {magic} file, but its first numbers are those of no {_FAMILIES[magic]}"
    )


def _read(data: Stream, magic: str, layout: _Layout) -> Header:
    data.skip(4)
    version: int = data.number("I") if magic in _VERSIONS else 0
    if version not in _VERSIONS.get(magic, (0,)):
        raise data.bad(f"{magic} version {version}")
    numbers = _numbers(data, layout)
    family = _vocabulary(data, layout, numbers)
    try:
        parameters = _tensors(data, layout, numbers, magic)
    except BadModelFile as error:
        age = version if magic != "GGML" else numbers["ftype"] // 1000
        if numbers["ftype"] % 1000 < 2 or age >= (_QUANTIZED_SINCE if magic == "GGML" else 3) or magic == "GGCC":
            raise
        told = f"it is quantized as the {magic} files of version {age} are, which the library reads no more"
        raise data.bad(f"{told}; or {error.what}", error.offset) from error
    metadata = _metadata(magic, family, numbers)
    metadata["parameter_count"] = parameters
    return Header(metadata, parameters, None, False, early=True)


def _numbers(data: Stream, layout: _Layout) -> dict[str, int]:
    """The header's numbers, each as such and with the others."""
    found: dict[str, int] = {}
    for name in layout.numbers.split():
        value: int = data.number("i")
        if name in _BOUNDS and not 0 < value < _BOUNDS[name]:
            raise data.bad(f"the number {value} for {name}")
        found[name] = value
    if found["ftype"] < 0 or found["ftype"] % 1000 not in NAMES:
        raise data.bad(f"the number {found['ftype']} for its quantization")
    if found["embd"] % found["head"]:
        raise data.bad(f"{found['head']} heads, which {found['embd']} numbers a token cannot be shared among")
    width = found["embd"] // found["head"]
    rotated = found.get("rot", width)
    if rotated != width and (layout.family == "llama" or rotated % 2 or not 0 < rotated < width):
        raise data.bad(f"{rotated} rotated numbers in a head of {width}")
    if layout.family == "falcon" and (found["head"] % found["head_kv"] or not falcon_kind(found)):
        raise data.bad(f"{found['head_kv']} heads of keys for {found['head']}, or the kind {found['kind']}")
    cached = found.get("ctx", 0) * found["layer"] * found["embd"]
    if layout.family in ("gpt2", "gptj") and cached >= _MOST_CACHED:
        raise data.bad(f"a context of {found['ctx']} tokens, which is too large for a KV cache")
    return found


def _metadata(magic: str, family: str, numbers: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "architecture": family,
        "format": magic,
        "embedding_length": numbers["embd"],
        "block_count": numbers["layer"],
        "head_count": numbers["head"],
        "vocab_size": numbers["vocab"],
    }
    if "ctx" in numbers:
        found["context_length"] = numbers["ctx"]
    if "head_kv" in numbers:
        found["head_count_kv"] = numbers["head_kv"]
    mixture = numbers["ftype"] % 1000
    name = NAMES.get(mixture) if family in ("llama", "falcon") else _MIXTURES.get(mixture, NAMES.get(mixture))
    if name is not None:
        found["quantization"] = name
    return found


def _vocabulary(data: Stream, layout: _Layout, numbers: dict[str, int]) -> str:
    """Step over the words; return the family, which a few of them tell more exactly."""
    size = numbers["vocab"]
    if layout.again and (again := data.number("i")) != size:
        raise data.bad(f"{again} words where the header has {size}")
    if size * 4 > data.size - data.position:
        raise data.bad(f"a vocabulary of {size} words")
    family = layout.family
    for _ in range(size):
        word = data.text(LONGEST_WORD, "a word")
        data.strings += 1
        if layout.scores:
            data.skip(4)
        if family == "gpt2" and word in (b"<fim_prefix>", b"<fim-prefix>", b"<|system|>"):
            family = "starcoder"
        elif family == "gpt_neox" and word == b"### End":
            family = "dolly-v2"
        elif family == "mpt" and not word.isascii():
            _characters(data, word)
    if "merges" in numbers:
        if (again := data.number("i")) != numbers["merges"]:
            raise data.bad(f"{again} pairs of words where the header has {numbers['merges']}")
        for _ in range(2 * again):
            data.text(LONGEST_WORD, "a word")
    return family


def _characters(data: Stream, word: bytes) -> None:
    """MPT's words are written in UTF-8, and others end the library's process."""
    try:
        word.decode()
    except UnicodeDecodeError as error:
        raise data.bad(f"the word {word!r:.60}, which is not UTF-8") from error


def _tensors(data: Stream, layout: _Layout, numbers: dict[str, int], magic: str) -> int:
    """Check every tensor until the end of the file; return the number of their elements."""
    wanted = expected(layout.family, numbers, data.path)
    all_of_them = len(wanted)
    if layout.family == "gpt2":
        wanted["model/lm_head"] = wanted["model/wte"]  # else the words' own tensor is taken
    mixed = layout.family in ("falcon", "llama")
    large = _KINDS.get(numbers["ftype"] % 1000)
    alignment = 32 if magic in ("GGJT", "GGCC") else 1
    elements = 0
    while data.position < data.size:
        offset = data.position
        rank, length, kind = struct.unpack("<3i", data.take(12))
        if not (1 <= rank <= 2 and 0 < length <= LONGEST_NAME):
            raise data.bad(f"a tensor of {rank} dimensions with a name of {length} bytes", offset)
        shape = struct.unpack(f"<{rank}i", data.take(4 * rank))
        name = data.take(length).decode("latin-1")
        right = wanted.pop(name, None)
        if right is None:
            raise data.bad(f"a tensor called {name!a:.60}, which has no place in this model, or two of them", offset)
        if shape != right:
            raise data.bad(f"the tensor {name} has the shape {shape}, not {right}", offset)
        block, width = BLOCKS.get(kind, (1, 0))
        if rank == 1 or name == "model/wpe":
            usual = kind == 0
        else:
            usual = kind in _KINDS.values() if mixed else kind == large
        if not usual or shape[0] % block:
            raise data.bad(f"the tensor {name} has the type {kind} and the shape {shape}", offset)
        data.skip(-data.position % alignment)
        data.skip(math.prod(shape) // block * width)
        elements += math.prod(shape)
    wanted.pop("model/lm_head", None)
    if wanted:
        found = all_of_them - len(wanted)
        raise data.bad(f"only {found} of {all_of_them} tensors; {next(iter(wanted))} is missing")
    return elements
