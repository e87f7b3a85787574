"""The backend `jan-llamacpp`: loaded models, each in a worker process that runs llama.cpp through xllamacpp."""

from __future__ import annotations

from jan_llamacpp.backend import LlamaCpp

__all__ = ["LlamaCpp"]
