"""What a model will need in memory, out of its file's header and its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.schemas.engines import Estimate

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation

PROCESS_BYTES = 32 << 20
"""Python and the library (measured on Linux: 25 to 30 MiB)."""
COMPUTE_BYTES = 64 << 20
"""Buffers of a step. The library sets more aside, but touches what a few tokens need."""
_CACHED = {"gpt2": 8, "starcoder": 8, "falcon": 12}
"""Bytes of the KV cache for each number of a layer's width: keys and values of four bytes, and Falcon has the values
twice. All others have two bytes each."""
_OWN_CONTEXT = ("dolly-v2", "gpt2", "gpt_neox", "gptj", "replit", "starcoder")
"""Model types whose KV cache is as long as the file says, however little of it may be used."""
_UNKNOWN_SHARE = 0.25
"""What the KV cache is taken for, of the weights' size, where the header does not tell enough."""


def estimate(location: ModelLocation, given: dict[str, Any]) -> Estimate:
    """Estimate the memory of a worker.

    Args:
        location: the model.
        given: what its worker is told to load.

    Returns:
        `weights`, `kv_cache`, `compute` and `process`.
    """
    told = [location.metadata.get(name) for name in ("block_count", "embedding_length", "head_count")]
    cache = int(location.size * _UNKNOWN_SHARE)
    if all(isinstance(one, int) and one > 0 for one in told):
        layers, width, heads = (int(one or 0) for one in told)
        shared = location.metadata.get("head_count_kv")
        width = width // heads * (shared if isinstance(shared, int) and shared > 0 else heads)
        own = location.metadata.get("context_length") if given["type"] in _OWN_CONTEXT else None
        cache = layers * width * (own or given["context"]) * _CACHED.get(given["type"], 4)
    parts = {"weights": location.size, "kv_cache": cache, "compute": COMPUTE_BYTES, "process": PROCESS_BYTES}
    return Estimate(total=sum(parts.values()), parts=parts)
