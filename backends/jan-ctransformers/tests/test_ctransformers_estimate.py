from __future__ import annotations

from collections.abc import Callable

import pytest
from jan_ctransformers.estimate import estimate

from jan_core.schemas.models import ModelLocation

Make = Callable[..., ModelLocation]


def test_the_cache_follows_from_the_header(tiny: Make) -> None:
    told = {"block_count": 2, "embedding_length": 64, "head_count": 4}
    found = estimate(tiny(size=1000, metadata=told), {"context": 100, "type": "gpt2"})
    assert found.parts["kv_cache"] == 2 * 2 * 64 * 100 * 4
    assert found.total == sum(found.parts.values())
    shared = estimate(tiny(size=1000, metadata={**told, "head_count_kv": 1}), {"context": 100, "type": "gguf"})
    assert shared.parts["kv_cache"] == 2 * 2 * 16 * 100 * 2


@pytest.mark.parametrize(
    ("kind", "tokens", "width"),
    [
        ("gptj", 256, 4),
        ("starcoder", 256, 8),
        ("replit", 256, 4),
        ("mpt", 100, 4),
        ("llama", 100, 4),
        ("falcon", 100, 12),
    ],
)
def test_the_cache_of_other_types(tiny: Make, kind: str, tokens: int, width: int) -> None:
    told = {"block_count": 2, "embedding_length": 64, "head_count": 4, "context_length": 256}
    found = estimate(tiny(size=1000, metadata=told), {"context": 100, "type": kind})
    assert found.parts["kv_cache"] == 2 * 64 * tokens * width


def test_a_header_that_tells_nothing(tiny: Make) -> None:
    assert estimate(tiny(size=1000, metadata={}), {"context": 100, "type": "gpt2"}).parts["kv_cache"] == 250
