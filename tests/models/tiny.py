"""What the tiny models of every layout have in common: they say the same as the tiny GPT-2, by other means.

Each word that matters has a direction of its own, and these are at right angles. A unit of the feed-forward part fires
at one word and adds the directions of those that follow it; the output weights are the directions again. So one set of
weights does for layouts that have output weights of their own and for those that do not. Attention is random and,
unless told otherwise, too small to matter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import quantize

from tests.models.tiny_gpt2 import CONTEXT, HEADS, VOCABULARY, WIDTH, follows

LOUD = 0.5
"""Attention that decides what comes next, instead of the last word alone."""
FILE_TYPES = {0: 0, 1: 1, 2: 2002, 8: 2007}
"""What the header says of the large tensors: they are F32, F16, Q4_0 or Q8_0."""
_QUIET = 0.01
_FIRES = 8.0


@dataclass
class Tiny:
    """The weights.

    Attributes:
        words: text of each token; the same may come twice, and the last one counts.
        hidden: units of the feed-forward part.
        attention: how large the weights of attention are.
    """

    words: list[bytes] = field(default_factory=lambda: list(VOCABULARY))
    hidden: int = 4 * WIDTH
    attention: float = _QUIET

    def __post_init__(self) -> None:
        number = {word: token for token, word in enumerate(self.words)}
        after = {before: [word for word in words if word in number] for before, words in follows().items()}
        after = {before: words for before, words in after.items() if before in number}
        self._draw = np.random.default_rng(1)
        places = np.arange(WIDTH)
        signs = np.array([[(-1) ** int(a & b).bit_count() for b in places] for a in places], np.float32)
        matter = list(dict.fromkeys([*after, *(word for words in after.values() for word in words)]))
        direction = {word: signs[n + 1] for n, word in enumerate(matter)}
        self.embedding = np.zeros((len(self.words), WIDTH), np.float32)
        for word, along in direction.items():
            self.embedding[number[word]] = along
        self.up = np.zeros((self.hidden, WIDTH), np.float32)
        self.down = np.zeros((WIDTH, self.hidden), np.float32)
        for unit, (before, words) in enumerate(after.items()):
            self.up[unit] = direction[before] * _FIRES / WIDTH
            self.down[:, unit] = np.sum([direction[word] for word in words], axis=0)
        self.gate = self.up
        self.beside_gate = self.up / _FIRES
        """With `gate`, for feed-forward parts of three matrices: the unit's two factors are `_FIRES` and 1."""

    def random(self, rows: int, columns: int = WIDTH) -> np.ndarray:
        """A matrix of attention."""
        return (self._draw.standard_normal((rows, columns)) * self.attention).astype(np.float32)


def ones(size: int = WIDTH, value: float = 1) -> np.ndarray:
    """The weights of a norm."""
    return np.full(size, value, np.float32)


def zeros(size: int = WIDTH) -> np.ndarray:
    """A bias."""
    return np.zeros(size, np.float32)


def numbers(*values: float) -> bytes:
    """Numbers of 32 bits, whole ones as such."""
    return b"".join(struct.pack("<f" if isinstance(value, float) else "<i", value) for value in values)


def words(texts: Iterable[bytes], scores: Iterable[float] | None = None) -> bytes:
    """A vocabulary, with a number after each word where `scores` gives them."""
    if scores is None:
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return b"".join(
        struct.pack("<I", len(text)) + text + struct.pack("<f", score)
        for text, score in zip(texts, scores, strict=True)
    )


def tensors(before: bytes, named: dict[str, np.ndarray], alignment: int = 1, kind: int = 0) -> bytes:
    """The file: what comes before the tensors, and these, the large ones as `kind` of `FILE_TYPES`."""
    data = bytearray(before)
    for name, values in named.items():
        content = values.tobytes() if values.ndim == 1 else quantize(values, GGMLQuantizationType(kind)).tobytes()
        data += struct.pack("<3i", values.ndim, len(name), kind if values.ndim > 1 else 0)
        data += struct.pack(f"<{values.ndim}i", *reversed(values.shape)) + name.encode()
        data += bytes(-len(data) % alignment) + content
    return bytes(data)


__all__ = ["CONTEXT", "FILE_TYPES", "HEADS", "LOUD", "WIDTH", "Tiny", "numbers", "ones", "tensors", "words", "zeros"]
