"""A tiny model of every type and format that the tests have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.models.tiny_falcon import tiny_falcon
from tests.models.tiny_gpt2 import STARCODER, tiny_gpt2
from tests.models.tiny_gpt_neox import tiny_dolly, tiny_gpt_neox
from tests.models.tiny_gptj import tiny_gptj
from tests.models.tiny_llama import tiny_gguf, tiny_llama
from tests.models.tiny_mpt import tiny_mpt, tiny_replit

WRITERS: dict[str, Callable[..., bytes]] = {
    "gptj": tiny_gptj,
    "gptj-GGML-Q4_0": partial(tiny_gptj, kind=2),
    "gpt_neox": tiny_gpt_neox,
    "dolly-v2": tiny_dolly,
    "mpt": tiny_mpt,
    "mpt-GGML-Q8_0": partial(tiny_mpt, kind=8),
    "replit": tiny_replit,
    "falcon-GGCC": tiny_falcon,
    "falcon-GGCC-40": partial(tiny_falcon, kind=40),
    "falcon-GGJT": partial(tiny_falcon, magic=b"tjgg", version=3),
    "falcon-GGMF": partial(tiny_falcon, magic=b"fmgg", version=1),
    "falcon-GGML": partial(tiny_falcon, magic=b"lmgg", version=None),
    "llama-GGJT": tiny_llama,
    "llama-GGJT-F16": partial(tiny_llama, kind=1),
    "llama-GGJT-Q4_0": partial(tiny_llama, kind=2),
    "llama-GGMF": partial(tiny_llama, magic=b"fmgg", version=1),
    "llama-GGUF": tiny_gguf,
}
"""What writes a file, by model type, format and what is special about it. Each takes `attention`."""
EVERY: dict[str, Callable[..., bytes]] = {
    "gpt2": tiny_gpt2,
    "starcoder": partial(tiny_gpt2, more=STARCODER),
    **WRITERS,
}
"""These, and two in which the last word alone decides."""
LAST = {
    "gpt2": "model/h0/mlp/c_proj/b",
    "starcoder": "model/h0/mlp/c_proj/b",
    "gptj": "transformer.h.0.mlp.fc_out.bias",
    "gpt_neox": "gpt_neox.layers.0.mlp.dense_4h_to_h.bias",
    "dolly-v2": "gpt_neox.layers.0.mlp.dense_4h_to_h.bias",
    "mpt": "transformer.blocks.0.ffn.down_proj.weight",
    "replit": "transformer.blocks.0.ffn.down_proj.weight",
    "falcon": "transformer.h.0.mlp.dense_4h_to_h.weight",
    "llama": "layers.0.feed_forward.w3.weight",
}
"""The last tensor in a file, by model type."""


def family(name: str) -> str:
    """The model type of one of `EVERY`."""
    return name.partition("-GG")[0]
