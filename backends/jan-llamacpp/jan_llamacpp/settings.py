"""The backend's table, `[jan-llamacpp]`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class LlamaCppSettings(Described):
    """How models are loaded and shared. A model's own `model.json` overrides what its `settings` name."""

    model_config = ConfigDict(strict=True, extra="forbid")

    context: int = Field(default=4096, ge=256, le=1 << 24)
    """Tokens of prompt and answer together, a request (`ctx_len` in model.json). The model's own limit caps it."""
    slots: int = Field(default=4, ge=1, le=64)
    """Requests that one model answers at once (`n_parallel` in model.json)."""
    threads: int = Field(default=0, ge=0, le=4096)
    """Threads a worker computes with; 0 takes the cores, less one where a core runs one thread only."""
    batch: int = Field(default=24, ge=8, le=2048)
    """Tokens of a prompt read in one go: a request can be cancelled only between two of them."""
    gpu_layers: int = Field(default=-1, ge=-1, le=10_000)
    """Layers given to a GPU, where the engine was built for one (`ngl` in model.json); -1 is as many as fit."""
    prompt_cache_mib: int = Field(default=256, ge=0, le=1 << 24)
    """Memory for the prompts of earlier conversations, in MiB, a worker."""
    template_seconds: float = Field(default=2, gt=0, le=3600)
    """Longest time for a chat template to render; a worker in which one takes longer is ended."""
