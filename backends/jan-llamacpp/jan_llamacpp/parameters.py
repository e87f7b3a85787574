"""What a worker is told to load: `model.json`'s settings over the backend's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_workers.model_json import bad_setting, whole
from jan_workers.threads import default_threads

from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation
    from jan_llamacpp.settings import LlamaCppSettings


EMBEDDINGS = "embeddings"
"""The purpose of a worker that turns texts into vectors; one that generates has the purpose `""`."""

POOLINGS = {1: "mean", 2: "cls", 3: "last"}
"""How a vector is made of those of a text's tokens, as a header's `pooling_type` says it, where that makes one."""
RANKS = 4
"""The `pooling_type` of a model that tells how well two texts fit, and makes no vectors."""


def load_parameters(location: ModelLocation, settings: LlamaCppSettings, purpose: str = "") -> dict[str, Any]:
    """What a worker is told to load: model.json's settings over the backend's, checked.

    A worker for embeddings is one of its own: llama.cpp started for vectors reads a text in one batch, as large as the
    context, between whose parts no request could be cancelled.

    Args:
        location: the model.
        settings: the backend's table.
        purpose: `""` or `EMBEDDINGS`.

    Raises:
        InvalidRequest: a setting in `model.json` has a wrong type or is out of range.
        NotSupported: the model is not made for this purpose.
    """
    metadata = location.metadata
    pooling = _pooling(location) if purpose == EMBEDDINGS else None
    if purpose != EMBEDDINGS and makes_vectors_only(location):
        raise NotSupported(
            f"The model {location.id!r} makes embeddings and writes no text; ask it at /v1/embeddings, or say "
            "settings.embedding: false in its model.json.",
            param="model",
            code="embedding_model",
        )
    own = metadata.get("context_length")
    context = whole(location, "ctx_len", 256, 1 << 24, settings.context)  # the engine rounds less up to that
    if isinstance(own, int) and own > 0:
        context = min(context, own)
    template = location.settings.get("chat_template")
    if template is not None and not isinstance(template, str):
        raise bad_setting(location, "chat_template", "a string")
    return {
        "path": location.path,
        "mmproj": location.mmproj,
        "context": context,
        "slots": whole(location, "n_parallel", 1, 64, settings.slots),
        # A text that becomes a vector is read in one batch.
        "batch": settings.batch if pooling is None else context,
        "pooling": pooling,
        "gpu_layers": whole(location, "ngl", -1, 10_000, settings.gpu_layers),
        "threads": settings.threads or default_threads(),
        "prompt_cache_mib": settings.prompt_cache_mib,
        "chat_template": template or metadata.get("chat_template"),
        "chat_template_override": template,
        "template_seconds": settings.template_seconds,
    }


def makes_vectors_only(location: ModelLocation) -> bool:
    """Whether a model is for embeddings alone: `settings.embedding` in model.json says it, else the file's header.

    Raises:
        InvalidRequest: `settings.embedding` is neither true nor false.
    """
    said = location.settings.get("embedding")
    if said is not None and not isinstance(said, bool):
        raise bad_setting(location, "embedding", "true or false")
    return location.metadata.get("pooling_type") in (*POOLINGS, RANKS) if said is None else said


def _pooling(location: ModelLocation) -> str:
    header = location.metadata.get("pooling_type")
    if header == RANKS or location.settings.get("embedding") is False:
        reason = "it ranks texts" if header == RANKS else "its model.json says settings.embedding: false"
        raise NotSupported(
            f"The model {location.id!r} makes no embeddings: {reason}.", param="model", code="no_embeddings"
        )
    pooling = location.settings.get("pooling")
    if pooling is None:
        return POOLINGS.get(header or 0, "mean")
    if pooling not in POOLINGS.values():
        raise bad_setting(location, "pooling", f"one of {', '.join(POOLINGS.values())}")
    return str(pooling)
