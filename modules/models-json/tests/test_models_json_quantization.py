from __future__ import annotations

from gguf.constants import GGML_QUANT_SIZES, LlamaFileType
from jan_models_json.quantization import BLOCKS, LAST_TYPE, NAMES


def test_block_sizes_are_the_reference_ones() -> None:
    assert {int(kind): size for kind, size in GGML_QUANT_SIZES.items()} == BLOCKS
    assert max(BLOCKS) < LAST_TYPE


def test_names_are_the_reference_ones() -> None:
    known = {int(kind): kind.name for kind in LlamaFileType if kind is not LlamaFileType.GUESSED}
    assert {number: name.removeprefix("MOSTLY_").removeprefix("ALL_") for number, name in known.items()} == NAMES
