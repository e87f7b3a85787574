from __future__ import annotations

import pytest
from jan_models_json.ggml_tensors import expected, falcon_kind

SEVENTY = {"vocab": 32000, "embd": 8192, "head": 64, "layer": 80, "mult": 4096, "rot": 128, "ftype": 2}


def test_sizes_of_models_that_people_have() -> None:
    gptj = expected("gptj", {"vocab": 50400, "ctx": 2048, "embd": 4096, "head": 16, "layer": 28}, "a.bin")
    assert len(gptj) == 5 + 28 * 10
    assert gptj["transformer.h.27.mlp.fc_out.weight"] == (16384, 4096)
    falcon = {"vocab": 65024, "embd": 4544, "head": 71, "head_kv": 1, "layer": 32, "kind": 7}
    found = expected("falcon", falcon, "a.bin")
    assert found["transformer.h.0.self_attention.query_key_value.weight"] == (4544, 4672)
    llama = {"vocab": 32000, "embd": 4096, "head": 32, "layer": 32, "mult": 256}
    assert expected("llama", llama, "a.bin")["layers.31.feed_forward.w1.weight"] == (4096, 11008)


def test_a_llama_of_seventy_is_known_by_its_name() -> None:
    shared = expected("llama", SEVENTY, "/models/llama-2-70b.ggmlv3.q4_0.bin")
    assert shared["layers.0.attention.wk.weight"] == (8192, 1024)
    assert shared["layers.79.feed_forward.w2.weight"] == (28672, 8192)
    alone = expected("llama", SEVENTY, "/models/llama-270bin.bin")
    assert alone["layers.0.attention.wk.weight"] == (8192, 8192)


@pytest.mark.parametrize(
    ("layer", "kind", "found"), [(32, 7, 7), (60, 40, 40), (60, 7, 40), (32, 40, 0), (2, 40, 40), (2, 7, 7), (2, 5, 0)]
)
def test_which_falcon(layer: int, kind: int, found: int) -> None:
    assert falcon_kind({"layer": layer, "kind": kind}) == found
