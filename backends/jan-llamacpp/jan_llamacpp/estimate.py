"""What a model will need in memory, out of its file's header and its settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jan_core.schemas.engines import Estimate

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation

PROCESS_BYTES = 64 << 20
"""Python, the engine's library and its threads (measured on Linux: 60 to 66 MiB)."""
CACHE_BYTES = 2
"""Bytes of a number in the KV cache: the engine keeps them as f16."""
UNKNOWN_SHARE = 0.25
"""What the KV cache is taken for, of the weights' size, where the header does not tell enough."""


def estimate(location: ModelLocation, given: dict[str, Any]) -> Estimate:
    """Estimate the memory of a worker.

    The KV cache is exact for a model whose layers all attend to the whole context; one whose layers do not (sliding
    windows, recurrent layers) needs less. The prompt cache is counted whole, although it fills only with use.

    Args:
        location: the model.
        given: what its worker is told to load.

    Returns:
        `weights`, `kv_cache`, `compute` (buffers for one batch), `projector`, `prompt_cache` and `process`.
    """
    metadata = location.metadata
    tokens = given["context"] * given["slots"]
    parts = {
        "weights": location.size,
        "kv_cache": _cache(metadata, tokens, location.size),
        "compute": _compute(metadata, tokens, given["batch"], vectors=bool(given.get("pooling"))),
        "projector": _size(given.get("mmproj")),
        "prompt_cache": given["prompt_cache_mib"] << 20,
        "process": PROCESS_BYTES,
    }
    return Estimate(total=sum(parts.values()), parts=parts)


def _cache(metadata: dict[str, Any], tokens: int, weights: int) -> int:
    layers, heads = _count(metadata, "block_count"), _count(metadata, "head_count")
    width = _count(metadata, "embedding_length")
    if not (layers and heads and width):
        return int(weights * UNKNOWN_SHARE)
    head = width // heads
    key = _count(metadata, "key_length") or head
    value = _count(metadata, "value_length") or head
    # Where the header gives the key and value heads for each layer, the attention heads are the most there can be.
    return layers * tokens * (_count(metadata, "head_count_kv") or heads) * (key + value) * CACHE_BYTES


def _compute(metadata: dict[str, Any], tokens: int, batch: int, *, vectors: bool) -> int:
    """Buffers for one batch, numbers of four bytes: what comes out, what goes through a layer, the attention's mask.

    A worker that makes vectors computes what comes out of every token, and keeps a copy of it (measured); one that
    writes, of the last ones only. Models of BERT's kind have no words to put out.
    """
    out = 0 if "bert" in str(metadata.get("architecture")) else _count(metadata, "vocab_size")
    through = 8 * _count(metadata, "embedding_length")
    return 4 * batch * (out * (2 if vectors else 1) + through + tokens)


def _count(metadata: dict[str, Any], name: str) -> int:
    value = metadata.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def _size(path: str | None) -> int:
    try:
        return os.path.getsize(path) if path else 0
    except OSError:
        return 0
