"""A tiny GPT-J in GGML."""

from __future__ import annotations

from tests.models.tiny import CONTEXT, FILE_TYPES, HEADS, WIDTH, Tiny, numbers, ones, tensors, words, zeros


def tiny_gptj(attention: float = 0.01, kind: int = 0) -> bytes:
    """The file's content, its large tensors as `kind` of `FILE_TYPES`."""
    tiny = Tiny(attention=attention)
    size = len(tiny.words)
    layer = "transformer.h.0."
    named = {
        "transformer.wte.weight": tiny.embedding,
        "transformer.ln_f.weight": ones(value=0.25),
        "transformer.ln_f.bias": zeros(),
        "lm_head.weight": tiny.embedding,
        "lm_head.bias": zeros(size),
        layer + "ln_1.weight": ones(),
        layer + "ln_1.bias": zeros(),
        **{f"{layer}attn.{name}_proj.weight": tiny.random(WIDTH) for name in ("q", "k", "v", "out")},
        layer + "mlp.fc_in.weight": tiny.up,
        layer + "mlp.fc_in.bias": zeros(tiny.hidden),
        layer + "mlp.fc_out.weight": tiny.down,
        layer + "mlp.fc_out.bias": zeros(),
    }
    head = b"lmgg" + numbers(size, CONTEXT, WIDTH, HEADS, 1, 8, FILE_TYPES[kind], size)
    return tensors(head + words(tiny.words), named, kind=kind)
