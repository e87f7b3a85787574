from __future__ import annotations

from pathlib import Path

import pytest
from jan_ctransformers.formats import TYPES, can_be, is_gguf, model_type


@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_itself_however_it_is_spelled(name: str) -> None:
    assert model_type(name) == model_type(name.upper().replace("_", "-")) == name


@pytest.mark.parametrize(("name", "found"), [("gpt_bigcode", "starcoder"), ("dolly", "dolly-v2"), ("bert", None)])
def test_other_names(name: str, found: str | None) -> None:
    assert model_type(name) == found


def test_types_that_share_a_way_of_writing() -> None:
    assert can_be("starcoder", "gpt2")
    assert can_be("gpt_neox", "gpt_neox")
    assert not can_be("gpt_neox", "gpt2")


def test_gguf_is_told_by_its_first_bytes(smollm2_ggml: Path, tiny_gpt2: Path) -> None:
    assert is_gguf(str(smollm2_ggml))
    assert not is_gguf(str(tiny_gpt2))
