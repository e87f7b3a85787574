"""What a worker is told to load: `model.json`'s settings over the backend's table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jan_workers.model_json import bad_setting, whole
from jan_workers.threads import default_threads

from jan_core.errors import InvalidRequest
from jan_ctransformers.formats import GGUF, TYPES, can_be, is_gguf, model_type
from jan_ctransformers.templates import OF_TYPE, STOPS, TEMPLATES

if TYPE_CHECKING:
    from jan_core.schemas.models import ModelLocation
    from jan_ctransformers.settings import CTransformersSettings


def load_parameters(location: ModelLocation, settings: CTransformersSettings) -> dict[str, Any]:
    """What a worker is told to load, checked.

    Args:
        location: the model; its `metadata` tells the context and, of a GGML file, the model type.
        settings: the backend's table.

    Raises:
        InvalidRequest: `model.json` has a bad setting, or nothing tells what type of model the file holds.
    """
    own = location.metadata.get("context_length")
    context = whole(location, "ctx_len", 16, 1 << 24, settings.context)
    if isinstance(own, int) and own > 0:
        context = min(context, own)
    kind = _type(location)
    if kind != GGUF:
        _check_format(location, kind)
    template, stops = _template(location, kind)
    return {
        "path": location.path,
        "type": kind,
        "context": context,
        "slots": 1,
        "threads": settings.threads or default_threads(),
        "batch": settings.batch,
        "chat_template": template,
        "chat_stops": stops,
        "end_tokens": _tokens(location, "eos_token_id"),
        "begin_token": next(iter(_tokens(location, "bos_token_id")), None),
        "template_seconds": settings.template_seconds,
    }


def _type(location: ModelLocation) -> str:
    try:
        if is_gguf(location.path):
            return GGUF
    except OSError as error:
        raise InvalidRequest(
            f"The model {location.id!r} cannot be loaded: {location.path} cannot be read: {error.strerror}.",
            param="model",
            code="model_load_failed",
        ) from error
    named = location.settings.get("model_type")
    known = ", ".join(TYPES)
    found = model_type(str(location.metadata.get("architecture") or ""))
    if named is None:
        if found is None:
            raise InvalidRequest(
                f"The file {location.path} does not tell what type of model it holds. Write it into the model's "
                f"model.json as settings.model_type; it is one of {known}.",
                param="model",
                code="unknown_model_type",
            )
        return found
    told = model_type(named) if isinstance(named, str) else None
    if told is None:
        raise bad_setting(location, "model_type", f"one of {known}, not {named!r:.60}")
    if found is not None and not can_be(told, found):
        raise bad_setting(location, "model_type", f"{found}, which is what {location.path} holds, not {told}")
    return told


def _check_format(location: ModelLocation, kind: str) -> None:
    """Refuse what the library cannot open, which it would say in words that help nobody."""
    form = location.metadata.get("format")
    told = None
    if kind == "llama" and form == "GGML":
        told = (
            "it is a LLaMA file in the first GGML format, which ctransformers reads no more; a file in GGMF, GGJT or "
            "GGUF can be loaded"
        )
    elif kind == "falcon" and form in ("GGML", "GGMF", "GGJT"):
        beside = os.path.join(os.path.dirname(location.path), "tokenizer.json")
        if not os.path.isfile(beside):
            told = (
                f"in {form}, Falcon's files lack a part of the vocabulary; put the model's tokenizer.json at {beside}"
            )
    if told is not None:
        raise InvalidRequest(
            f"The model {location.id!r} cannot be loaded from {location.path}: {told}.",
            param="model",
            code="model_load_failed",
        )


def _template(location: ModelLocation, kind: str) -> tuple[str | None, list[str]]:
    """The chat template, Jinja, and the stop strings that belong to it."""
    told = location.settings.get("chat_template")
    if told is not None and not isinstance(told, str):
        raise bad_setting(location, "chat_template", "a string")
    name = told or location.metadata.get("chat_template") or OF_TYPE.get(kind)
    if name is None or not isinstance(name, str):
        return None, []
    if name not in TEMPLATES and "{" not in name:
        raise bad_setting(
            location, "chat_template", f"a Jinja template or one of {', '.join(TEMPLATES)}, not {name!r:.60}"
        )
    return TEMPLATES.get(name, name), STOPS.get(name, [])


def _tokens(location: ModelLocation, name: str) -> list[int]:
    value = location.settings.get(name)
    tokens = [] if value is None else value if isinstance(value, list) else [value]
    if any(isinstance(one, bool) or not isinstance(one, int) or not 0 <= one < 1 << 31 for one in tokens):
        raise bad_setting(location, name, "a token's number, or a list of them")
    return list(tokens)
