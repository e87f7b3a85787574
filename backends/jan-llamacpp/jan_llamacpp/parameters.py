"""What a worker is told to load: `model.json`'s settings over the backend's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.errors import InvalidRequest
from jan_workers.threads import default_threads

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation
    from jan_llamacpp.settings import LlamaCppSettings


def load_parameters(location: ModelLocation, settings: LlamaCppSettings) -> dict[str, Any]:
    """What a worker is told to load: model.json's settings over the backend's, checked.

    Raises:
        InvalidRequest: a setting in `model.json` has a wrong type or is out of range.
    """
    metadata = location.metadata
    own = metadata.get("context_length")
    context = _whole(location, "ctx_len", 256, 1 << 24, settings.context)  # the engine rounds less up to that
    if isinstance(own, int) and own > 0:
        context = min(context, own)
    template = location.settings.get("chat_template")
    if template is not None and not isinstance(template, str):
        raise _bad(location, "chat_template", "a string")
    return {
        "path": location.path,
        "mmproj": location.mmproj,
        "context": context,
        "slots": _whole(location, "n_parallel", 1, 64, settings.slots),
        "batch": settings.batch,
        "gpu_layers": _whole(location, "ngl", -1, 10_000, settings.gpu_layers),
        "threads": settings.threads or default_threads(),
        "prompt_cache_mib": settings.prompt_cache_mib,
        "chat_template": template or metadata.get("chat_template"),
        "chat_template_override": template,
        "template_seconds": settings.template_seconds,
    }


def _whole(location: ModelLocation, name: str, low: int, high: int, default: int) -> int:
    value = location.settings.get(name, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _bad(location, name, f"a whole number from {low} to {high}")
    return value


def _bad(location: ModelLocation, name: str, allowed: str) -> InvalidRequest:
    return InvalidRequest(
        f"model.json of {location.id!r}: settings.{name} must be {allowed}; mend it in the model's folder.",
        param="model",
        code="bad_model_settings",
    )
