"""A tiny LLaMA in the formats before GGUF, and in the first version of GGUF."""

from __future__ import annotations

import struct
from itertools import accumulate

import numpy as np

from tests.models.tiny import CONTEXT, FILE_TYPES, HEADS, WIDTH, Tiny, numbers, ones, tensors, words
from tests.models.tiny_gpt2 import END, VOCABULARY

_HIDDEN, _MULTIPLE = 192, 32
"""Two thirds of four times the width, up to the next multiple."""
_BYTES = [bytes([byte]) for byte in range(256)]
_GROWN = list(dict.fromkeys(part for word in VOCABULARY[256:] for part in accumulate(bytes([b]) for b in word)))
WORDS = [b" ? ", b"<s>", END, *_BYTES, *(part for part in _GROWN if len(part) > 1 and part != END)]
"""The library takes the second word for the beginning and the third for the end; words grow byte by byte."""


def _weights(attention: float) -> tuple[Tiny, list[np.ndarray]]:
    """The weights, and matrices in the order of `_NAMES`."""
    tiny = Tiny(words=WORDS, hidden=_HIDDEN, attention=attention)
    return tiny, [
        tiny.embedding,
        ones(value=0.25),
        tiny.embedding,
        ones(),
        *(tiny.random(WIDTH) for _ in "qkvo"),
        ones(),
        tiny.gate,
        tiny.down,
        tiny.beside_gate,
    ]


_NAMES = (
    ("tok_embeddings.weight", "token_embd.weight"),
    ("norm.weight", "output_norm.weight"),
    ("output.weight", "output.weight"),
    ("layers.0.attention_norm.weight", "blk.0.attn_norm.weight"),
    ("layers.0.attention.wq.weight", "blk.0.attn_q.weight"),
    ("layers.0.attention.wk.weight", "blk.0.attn_k.weight"),
    ("layers.0.attention.wv.weight", "blk.0.attn_v.weight"),
    ("layers.0.attention.wo.weight", "blk.0.attn_output.weight"),
    ("layers.0.ffn_norm.weight", "blk.0.ffn_norm.weight"),
    ("layers.0.feed_forward.w1.weight", "blk.0.ffn_gate.weight"),
    ("layers.0.feed_forward.w2.weight", "blk.0.ffn_down.weight"),
    ("layers.0.feed_forward.w3.weight", "blk.0.ffn_up.weight"),
)


def tiny_llama(attention: float = 0.01, magic: bytes = b"tjgg", version: int | None = 3, kind: int = 0) -> bytes:
    """The file's content.

    Args:
        attention: how large its weights are.
        magic: of the format.
        version: of the format; None where it has none.
        kind: of `FILE_TYPES`, for the large tensors.
    """
    tiny, matrices = _weights(attention)
    head = magic + (numbers(version) if version is not None else b"")
    head += numbers(len(tiny.words), WIDTH, _MULTIPLE, HEADS, 1, WIDTH // HEADS, FILE_TYPES[kind] % 1000)
    # The beginning and the end have no text in these formats.
    texts = [b"" if number in (1, 2) else word for number, word in enumerate(tiny.words)]
    head += words(texts, None if version is None else [-float(n) for n in range(len(texts))])
    named = {before: matrix for (before, _), matrix in zip(_NAMES, matrices, strict=True)}
    return tensors(head, named, 32 if magic == b"tjgg" else 1, kind)


def tiny_gguf(attention: float = 0.01) -> bytes:
    """The same in the first version of GGUF, whose counts and lengths have 32 bits."""
    _, matrices = _weights(attention)
    kinds = [2, 3, 3, *[6] * 256, *[1] * (len(WORDS) - 259)]
    texts = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256))]
    # A printable byte is a word too, and that one is found first; a token of bytes is for what no word is.
    for number in range(259, len(WORDS)):
        texts.append(WORDS[number].replace(b" ", "▁".encode()))
    for byte in range(32, 127):
        texts[3 + byte] = bytes([byte]).replace(b" ", "▁".encode())
        kinds[3 + byte] = 1
    values = {
        "general.architecture": _text(b"llama"),
        "llama.context_length": _whole(CONTEXT),
        "llama.embedding_length": _whole(WIDTH),
        "llama.block_count": _whole(1),
        "llama.feed_forward_length": _whole(_HIDDEN),
        "llama.rope.dimension_count": _whole(WIDTH // HEADS),
        "llama.attention.head_count": _whole(HEADS),
        "llama.attention.layer_norm_rms_epsilon": struct.pack("<If", 6, 1e-5),
        "tokenizer.ggml.model": _text(b"llama"),
        "tokenizer.ggml.tokens": struct.pack("<3I", 9, 8, len(texts)) + words(texts),
        "tokenizer.ggml.scores": struct.pack("<3I", 9, 6, len(texts))
        + numbers(*(-float(n) for n in range(len(texts)))),
        "tokenizer.ggml.token_type": struct.pack("<3I", 9, 5, len(texts)) + numbers(*kinds),
        "tokenizer.ggml.bos_token_id": _whole(1),
        "tokenizer.ggml.eos_token_id": _whole(2),
    }
    data = bytearray(b"GGUF" + struct.pack("<3I", 1, len(matrices), len(values)))
    data += b"".join(words([name.encode()]) + value for name, value in values.items())
    at = 0
    for (_, name), matrix in zip(_NAMES, matrices, strict=True):
        shape = struct.pack(f"<{matrix.ndim}I", *reversed(matrix.shape))
        data += words([name.encode()]) + struct.pack("<I", matrix.ndim) + shape + struct.pack("<IQ", 0, at)
        at += -(-matrix.nbytes // 32) * 32
    for matrix in matrices:
        data += bytes(-len(data) % 32) + matrix.tobytes()
    return bytes(data)


def _text(value: bytes) -> bytes:
    return struct.pack("<I", 8) + words([value])


def _whole(value: int) -> bytes:
    return struct.pack("<2I", 4, value)
