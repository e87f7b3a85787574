"""A tiny GPT-NeoX in GGML, and a tiny Dolly, which is one with three special words."""

from __future__ import annotations

from tests.models.tiny import CONTEXT, HEADS, WIDTH, Tiny, numbers, ones, tensors, words, zeros
from tests.models.tiny_gpt2 import VOCABULARY

DOLLY = [b"### End", b"### Instruction:", b"### Response:"]
"""Dolly's special words. What follows a colon follows the last one too, since a line break comes between."""


def tiny_gpt_neox(attention: float = 0.01, more: list[bytes] | None = None, beside: bool = False) -> bytes:
    """The file's content.

    Args:
        attention: how large its weights are.
        more: words that come after the common ones.
        beside: the feed-forward part reads what attention reads, not what attention writes.
    """
    tiny = Tiny(words=[*VOCABULARY, *(more or [])], attention=attention)
    layer = "gpt_neox.layers.0."
    named = {
        "gpt_neox.embed_in.weight": tiny.embedding,
        "gpt_neox.final_layer_norm.weight": ones(value=0.25),
        "gpt_neox.final_layer_norm.bias": zeros(),
        "embed_out.weight": tiny.embedding,
        layer + "input_layernorm.weight": ones(),
        layer + "input_layernorm.bias": zeros(),
        layer + "attention.query_key_value.weight": tiny.random(3 * WIDTH),
        layer + "attention.query_key_value.bias": zeros(3 * WIDTH),
        layer + "attention.dense.weight": tiny.random(WIDTH),
        layer + "attention.dense.bias": zeros(),
        layer + "post_attention_layernorm.weight": ones(),
        layer + "post_attention_layernorm.bias": zeros(),
        layer + "mlp.dense_h_to_4h.weight": tiny.up,
        layer + "mlp.dense_h_to_4h.bias": zeros(tiny.hidden),
        layer + "mlp.dense_4h_to_h.weight": tiny.down,
        layer + "mlp.dense_4h_to_h.bias": zeros(),
    }
    head = b"lmgg" + numbers(len(tiny.words), CONTEXT, WIDTH, HEADS, 1, 8, int(beside), 0)
    return tensors(head + words(tiny.words), named)


def tiny_dolly(attention: float = 0.01) -> bytes:
    """The file's content."""
    return tiny_gpt_neox(attention, DOLLY, beside=True)
