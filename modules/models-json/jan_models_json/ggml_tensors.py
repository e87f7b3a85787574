"""Which tensors a model in a GGML file must have, and their shapes: its loader does not notice one that is missing.

Sources of the names and shapes: the loaders of ggml's examples, and of llama.cpp and ggllm.cpp before GGUF.
"""

from __future__ import annotations

import re

_GPTJ = {
    "transformer.wte.weight": "e v",
    "transformer.ln_f.weight": "e",
    "transformer.ln_f.bias": "e",
    "lm_head.weight": "e v",
    "lm_head.bias": "v",
    "transformer.h.*.ln_1.weight": "e",
    "transformer.h.*.ln_1.bias": "e",
    "transformer.h.*.attn.q_proj.weight": "e e",
    "transformer.h.*.attn.k_proj.weight": "e e",
    "transformer.h.*.attn.v_proj.weight": "e e",
    "transformer.h.*.attn.out_proj.weight": "e e",
    "transformer.h.*.mlp.fc_in.weight": "e 4e",
    "transformer.h.*.mlp.fc_in.bias": "4e",
    "transformer.h.*.mlp.fc_out.weight": "4e e",
    "transformer.h.*.mlp.fc_out.bias": "e",
}
_GPT2 = {
    "model/wte": "e v",
    "model/wpe": "e c",
    "model/ln_f/g": "e",
    "model/ln_f/b": "e",
    "model/h*/ln_1/g": "e",
    "model/h*/ln_1/b": "e",
    "model/h*/attn/c_attn/w": "e 3e",
    "model/h*/attn/c_attn/b": "3e",
    "model/h*/attn/c_proj/w": "e e",
    "model/h*/attn/c_proj/b": "e",
    "model/h*/ln_2/g": "e",
    "model/h*/ln_2/b": "e",
    "model/h*/mlp/c_fc/w": "e 4e",
    "model/h*/mlp/c_fc/b": "4e",
    "model/h*/mlp/c_proj/w": "4e e",
    "model/h*/mlp/c_proj/b": "e",
}
_GPT_NEOX = {
    "gpt_neox.embed_in.weight": "e v",
    "gpt_neox.final_layer_norm.weight": "e",
    "gpt_neox.final_layer_norm.bias": "e",
    "embed_out.weight": "e v",
    "gpt_neox.layers.*.input_layernorm.weight": "e",
    "gpt_neox.layers.*.input_layernorm.bias": "e",
    "gpt_neox.layers.*.attention.query_key_value.weight": "e 3e",
    "gpt_neox.layers.*.attention.query_key_value.bias": "3e",
    "gpt_neox.layers.*.attention.dense.weight": "e e",
    "gpt_neox.layers.*.attention.dense.bias": "e",
    "gpt_neox.layers.*.post_attention_layernorm.weight": "e",
    "gpt_neox.layers.*.post_attention_layernorm.bias": "e",
    "gpt_neox.layers.*.mlp.dense_h_to_4h.weight": "e 4e",
    "gpt_neox.layers.*.mlp.dense_h_to_4h.bias": "4e",
    "gpt_neox.layers.*.mlp.dense_4h_to_h.weight": "4e e",
    "gpt_neox.layers.*.mlp.dense_4h_to_h.bias": "e",
}
_MPT = {
    "transformer.wte.weight": "e v",
    "transformer.norm_f.weight": "e",
    "transformer.blocks.*.norm_1.weight": "e",
    "transformer.blocks.*.attn.Wqkv.weight": "e 3e",
    "transformer.blocks.*.attn.out_proj.weight": "e e",
    "transformer.blocks.*.norm_2.weight": "e",
    "transformer.blocks.*.ffn.up_proj.weight": "e 4e",
    "transformer.blocks.*.ffn.down_proj.weight": "4e e",
}
_FALCON = {
    "transformer.word_embeddings.weight": "e v",
    "transformer.ln_f.weight": "e",
    "transformer.ln_f.bias": "e",
    "lm_head.weight": "e v",
    "transformer.h.*.self_attention.query_key_value.weight": "e q",
    "transformer.h.*.self_attention.dense.weight": "e e",
    "transformer.h.*.mlp.dense_h_to_4h.weight": "e 4e",
    "transformer.h.*.mlp.dense_4h_to_h.weight": "4e e",
}
_NORMS = {
    7: {f"transformer.h.*.input_layernorm.{name}": "e" for name in ("weight", "bias")},
    40: {f"transformer.h.*.{norm}.{name}": "e" for norm in ("ln_mlp", "ln_attn") for name in ("weight", "bias")},
}
"""Falcon's, by kind."""
_LLAMA = {
    "tok_embeddings.weight": "e v",
    "norm.weight": "e",
    "output.weight": "e v",
    "layers.*.attention_norm.weight": "e",
    "layers.*.attention.wq.weight": "e e",
    "layers.*.attention.wk.weight": "e k",
    "layers.*.attention.wv.weight": "e k",
    "layers.*.attention.wo.weight": "e e",
    "layers.*.ffn_norm.weight": "e",
    "layers.*.feed_forward.w1.weight": "e f",
    "layers.*.feed_forward.w2.weight": "f e",
    "layers.*.feed_forward.w3.weight": "e f",
}
_TENSORS = {
    "gpt2": _GPT2,
    "gptj": _GPTJ,
    "gpt_neox": _GPT_NEOX,
    "mpt": _MPT,
    "replit": _MPT,
    "falcon": _FALCON,
    "llama": _LLAMA,
}
_SEVENTY = re.compile(r"(\b|_)70b(\b|_)", re.IGNORECASE)
"""The library knows a LLaMA 2 of 70 thousand million weights by the file's name only."""


def falcon_kind(numbers: dict[str, int]) -> int:
    """Which Falcon's tensors the library expects, 7 or 40; the number of layers goes first. 0 where it would crash."""
    kind = numbers["kind"]
    found = {32: 7, 60: 40}.get(numbers["layer"], kind)
    return found if found in (7, 40) and (kind, found) != (40, 7) else 0


def expected(family: str, numbers: dict[str, int], path: str) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, the longest stride last as in the file, by name.

    Args:
        family: the layout's name.
        numbers: the header's, checked: `embd`, `vocab`, `layer`, and what else the layout has.
        path: of the file.
    """
    embd, layers = numbers["embd"], numbers["layer"]
    sizes = {"e": embd, "3e": 3 * embd, "4e": 4 * embd, "v": numbers["vocab"], "c": numbers.get("ctx", 0)}
    templates = _TENSORS[family]
    if family == "falcon":
        sizes["q"] = (numbers["head"] + 2 * numbers["head_kv"]) * (embd // numbers["head"])
        templates = templates | _NORMS[falcon_kind(numbers)]
    elif family == "llama":
        shared = _SEVENTY.search(path) is not None
        sizes["k"] = embd // 8 if shared else embd
        units = 2 * (4 * embd) // 3
        if shared and layers == 80:
            units = int(1.3 * units)
        sizes["f"] = -(-units // numbers["mult"]) * numbers["mult"]
    found: dict[str, tuple[int, ...]] = {}
    for name, sides in templates.items():
        shape = tuple(sizes[side] for side in sides.split())
        for layer in range(layers) if "*" in name else (0,):
            found[name.replace("*", str(layer))] = shape
    return found
