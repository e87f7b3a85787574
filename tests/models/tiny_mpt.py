"""A tiny MPT and a tiny Replit in GGML: the same tensors, and vocabularies that are written differently."""

from __future__ import annotations

import numpy as np

from tests.models.tiny import CONTEXT, FILE_TYPES, HEADS, WIDTH, Tiny, numbers, ones, tensors, words


def _named(tiny: Tiny) -> dict[str, np.ndarray]:
    layer = "transformer.blocks.0."
    return {
        "transformer.wte.weight": tiny.embedding,
        "transformer.norm_f.weight": ones(value=0.25),
        layer + "norm_1.weight": ones(),
        layer + "attn.Wqkv.weight": tiny.random(3 * WIDTH),
        layer + "attn.out_proj.weight": tiny.random(WIDTH),
        layer + "norm_2.weight": ones(),
        layer + "ffn.up_proj.weight": tiny.up,
        layer + "ffn.down_proj.weight": tiny.down,
    }


def tiny_mpt(attention: float = 0.01, context: int = CONTEXT, kind: int = 0) -> bytes:
    """The file's content, its large tensors as `kind` of `FILE_TYPES`.

    Each byte of a word is written as the character of that number.
    """
    tiny = Tiny(attention=attention)
    head = b"lmgg" + numbers(WIDTH, context, HEADS, 1, len(tiny.words), 8.0, 0.0, FILE_TYPES[kind])
    return tensors(head + words(word.decode("latin-1").encode() for word in tiny.words), _named(tiny), kind=kind)


def tiny_replit(attention: float = 0.01, context: int = CONTEXT) -> bytes:
    """The file's content. A space is written as SentencePiece does, and each word is as likely as the others."""
    tiny = Tiny(attention=attention)
    head = b"lmgg" + numbers(WIDTH, context, HEADS, 1, len(tiny.words), 0)
    texts = [word.replace(b" ", "▁".encode()) for word in tiny.words]
    return tensors(head + words(texts, [-1.0] * len(texts)), _named(tiny))
