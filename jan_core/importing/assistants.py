"""An assistant of a foreign root as an object of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from jan_core.folder.homes import THREADS, location_fault
from jan_core.importing.threads import Names
from jan_core.importing.values import fields, items, pairs, seconds, text
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.tools import AssistantTool

_TEXTS = {"name": 256, "description": 512, "instructions": 256_000, "avatar": 2048}
_SEARCH = ("retrieval", "rag")
_SETTINGS = ("temperature", "top_p", "response_format", "reasoning_effort", "tool_resources")


def as_assistant(raw: Mapping[str, Any], assistant_id: str, modified: int, names: Names, notes: list[str]) -> Assistant:
    """Turn a foreign assistant into ours.

    Args:
        raw: an `assistant.json`, or what a `thread.json` says of an assistant.
        assistant_id: what it is called here.
        modified: a time for where it has none, in Unix seconds.
        names: what models are called here.
        notes: told of what was left out.
    """
    created = seconds(raw.get("created_at"), raw.get("created"))
    model = raw.get("model")
    data: dict[str, Any] = {
        "id": assistant_id,
        "created_at": modified if created is None else created,
        "model": names.model(model.get("id") if isinstance(model, dict) else model) or "",
        "metadata": pairs(raw.get("metadata"), notes),
        "tools": _tools(raw.get("tools"), notes),
    }
    for name, longest in _TEXTS.items():
        said = text(raw.get(name), raw.get("assistant_name") if name == "name" else None)
        if said is not None and len(said) > longest:
            notes.append(f"{name} was cut to the {longest} characters that the API allows")
        if said is not None:
            data[name] = said[:longest]
    place = text(raw.get("thread_location"))
    if place is not None and (place == THREADS or location_fault(place) is None):
        data["thread_location"] = place
    elif place is not None:
        notes.append("thread_location was left out: it is no place in this root")
    parameters = fields(raw.get("parameters"))
    for name, value in parameters.items():
        if name not in _SETTINGS and name != "stream" and value not in (None, "", [], {}):
            notes.append(f"parameters.{name} was left out: an assistant has no such field")
    for name in _SETTINGS:
        value = raw.get(name) if raw.get(name) is not None else parameters.get(name)
        if value is None:
            continue
        try:
            Assistant.model_validate({**data, name: value})
        except ValidationError as error:
            notes.append(f"{name} was left out: {error.errors(include_url=False)[0]['msg']}")
            continue
        data[name] = value
    return Assistant.model_validate(data)


def _tools(found: Any, notes: list[str]) -> list[Any]:
    """The tools that the API knows. One that is switched off is none."""
    kept = []
    for tool in items(found):
        kind = tool.get("type")
        if tool.get("enabled") is False:
            continue
        if kind in _SEARCH:
            tool = {"type": "file_search"}
        bare = {name: tool[name] for name in ("type", "function", "file_search") if name in tool}
        try:
            kept.append(TypeAdapter(AssistantTool).validate_python(bare))
        except ValidationError:
            notes.append(f"the tool {str(kind)[:40]!r} was left out: the API does not know it")
    return kept
