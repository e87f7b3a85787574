"""The backend's table, `[jan-ctransformers]`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class CTransformersSettings(Described):
    """How models are loaded. A model's own `model.json` overrides what its `settings` name."""

    model_config = ConfigDict(strict=True, extra="forbid")

    context: int = Field(default=2048, ge=16, le=1 << 24)
    """Tokens of prompt and answer together, a request (`ctx_len` in model.json). The model's own limit caps it."""
    threads: int = Field(default=0, ge=0, le=4096)
    """Threads a worker computes with; 0 takes the cores, less one where a core runs one thread only."""
    batch: int = Field(default=4, ge=1, le=512)
    """Tokens of a prompt read in one go: a request can be cancelled only between two of them."""
    template_seconds: float = Field(default=2, gt=0, le=3600)
    """Longest time for a chat template to render; a worker in which one takes longer is ended."""
