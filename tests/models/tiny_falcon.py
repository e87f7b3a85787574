"""A tiny Falcon in each of its formats: as the model of 7 or of 40 thousand million weights is written."""

from __future__ import annotations

import json
from itertools import accumulate, pairwise

from tests.models.early_gguf import byte_characters
from tests.models.tiny import HEADS, WIDTH, Tiny, numbers, ones, tensors, words, zeros
from tests.models.tiny_gpt2 import END, VOCABULARY

HEADS_OF = {7: 1, 40: 2}
"""Heads of keys and values, by kind."""
_FIRST = [b">>TITLE<<", *(f">>UNUSED_{n}<<".encode() for n in range(1, 11)), END]
"""The library takes the first twelve words for special ones, and the twelfth for the end."""
WORDS = [*_FIRST, *(word for word in VOCABULARY if word != END)]


def merges() -> list[tuple[str, str]]:
    """Pairs that become one, first the most important: each word grows from its first byte on."""
    character = {byte: text for text, byte in byte_characters().items()}
    pairs: dict[tuple[str, str], None] = {}
    for word in WORDS[len(_FIRST) :]:
        grown = list(accumulate(character[byte] for byte in word))
        pairs |= {(before, after[len(before) :]): None for before, after in pairwise(grown)}
    return list(pairs)


def tiny_falcon(attention: float = 0.01, magic: bytes = b"ccgg", version: int | None = 10, kind: int = 7) -> bytes:
    """The file's content.

    Args:
        attention: how large its weights are.
        magic: of the format; all but `ccgg` need `tokenizer_json` beside the file.
        version: of the format; None where it has none.
        kind: 7 or 40.
    """
    tiny = Tiny(words=WORDS, attention=attention)
    head_width, heads = WIDTH // HEADS, HEADS_OF[kind]
    pairs = merges()
    layer = "transformer.h.0."
    norms = ("input_layernorm",) if kind == 7 else ("ln_mlp", "ln_attn")
    named = {
        "transformer.word_embeddings.weight": tiny.embedding,
        "transformer.ln_f.weight": ones(value=0.25),
        "transformer.ln_f.bias": zeros(),
        "lm_head.weight": tiny.embedding,
        **{f"{layer}{norm}.weight": ones() for norm in norms},
        **{f"{layer}{norm}.bias": zeros() for norm in norms},
        layer + "self_attention.query_key_value.weight": tiny.random((HEADS + 2 * heads) * head_width),
        layer + "self_attention.dense.weight": tiny.random(WIDTH),
        layer + "mlp.dense_h_to_4h.weight": tiny.up,
        layer + "mlp.dense_4h_to_h.weight": tiny.down,
    }
    head = magic + (numbers(version) if version is not None else b"")
    head += numbers(len(WORDS), WIDTH, HEADS, heads, 1, kind, 0)
    head += numbers(len(pairs)) if magic == b"ccgg" else b""
    head += words(WORDS, None if version is None else [0.0] * len(WORDS))
    if magic == b"ccgg":
        head += numbers(len(pairs)) + words(text.encode() for pair in pairs for text in pair)
    return tensors(head, named, 32 if magic in (b"ccgg", b"tjgg") else 1)


def tokenizer_json() -> str:
    """What the library wants beside a file of the earlier formats; it reads it line by line."""
    return json.dumps({"model": {"merges": [" ".join(pair) for pair in merges()]}}, indent=2, ensure_ascii=False)
