"""Between an assistant's files and the assistant of the API: lenient when it reads, careful with what it does not know.

`assistant.json` holds the assistant. What it does not say of `model` and `instructions` stands in `model.json` beside
it, whose `id` names the model and whose `parameters` go before those of the model itself.
"""

from __future__ import annotations

from typing import Any

from jan_core.folder.fields import checked, parameters_in, said, time_made
from jan_core.ids import now
from jan_core.schemas.assistants import Assistant

MODEL = "model.json"
"""The file, beside the assistant's, of what answers."""
DEFAULT = "jan"
"""The assistant that is always there."""
SETTINGS = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")
"""Fields of an assistant that say how a model answers."""

_SEARCH = frozenset({"rag", "retrieval"})
_KNOWN = frozenset({"code_interpreter", "file_search", "function"})
_MOST_FILES = 20


def assistant_of(
    assistant_id: str, path: str, values: dict[str, Any], content: bytes, beside: dict[str, Any] | None
) -> Assistant:
    """The assistant that the files hold.

    Args:
        assistant_id: the folder's name; an `id` in the file does not count.
        path: of `assistant.json`.
        values: what is in it.
        content: its bytes.
        beside: what is in `model.json`; None where there is none, or a damaged one.

    Returns:
        The assistant. Its model is an empty string where none is named.

    Raises:
        Damaged: a required field is missing, or one has a wrong type.
    """
    return checked(Assistant, shown_of(assistant_id, path, values, content, beside), path, content)


def shown_of(
    assistant_id: str, path: str, values: dict[str, Any], content: bytes, beside: dict[str, Any] | None
) -> dict[str, Any]:
    """The fields of the assistant that the files hold, not checked yet; see `assistant_of`."""
    shown = {name: values.get(name) for name in Assistant.model_fields}
    shown["created_at"] = time_made(path, values, content)
    shown["model"] = model_of(values, ("model",))
    if beside is not None:
        shown["model"] = shown["model"] or model_of(beside)
        if shown["instructions"] is None and isinstance(beside.get("instructions"), str):
            shown["instructions"] = beside["instructions"]
    shown["model"] = shown["model"] or ""
    shown["tools"] = _tools(shown["tools"])
    if shown["tool_resources"] is None:
        shown["tool_resources"] = _resources(shown["tools"], values.get("file_ids"))
    shown["id"], shown["object"] = assistant_id, "assistant"
    return shown


def default_values() -> dict[str, Any]:
    """What is in a new `assistant.json` of the assistant that is always there."""
    return {
        "id": DEFAULT,
        "object": "assistant",
        "created_at": now(),
        "name": "Jan",
        "description": "A global assistant for any model in models/.",
        "model": None,
        "instructions": None,
        "tools": [],
        "metadata": {},
    }


def own_settings(assistant: Assistant, values: dict[str, Any]) -> dict[str, Any]:
    """What `assistant.json` itself sets, by the names of settings.

    Args:
        assistant: what the file was read as.
        values: what is in the file.
    """
    told = assistant.model_dump(mode="json", include=set(SETTINGS))
    told["model"] = model_of(values, ("model",))
    told["instructions"] = values.get("instructions")
    # None is the default, and says nothing.
    told["tools"] = told["tools"] or None
    parameters = values.get("parameters")
    return said({**(parameters if isinstance(parameters, dict) else {}), **said(told)})


def settings_beside(path: str, values: dict[str, Any], content: bytes) -> dict[str, Any]:
    """What `model.json` sets, by the names of settings.

    Raises:
        Damaged: `parameters` is no object.
    """
    parameters = parameters_in(path, values, content)
    return said({**parameters, "model": model_of(values), "instructions": values.get("instructions")})


def model_of(values: dict[str, Any], names: tuple[str, ...] = ("model", "id")) -> str | None:
    """The model that a file names; `*`, which stood for any, names none."""
    for name in names:
        found = values.get(name)
        if isinstance(found, dict):
            found = found.get("id")
        if isinstance(found, str) and found not in ("", "*"):
            return found
    return None


def _tools(found: Any) -> Any:
    """The tools, as the API has them: under their names of today, without those that are switched off or unknown."""
    if found is None:
        return []
    if not isinstance(found, list):
        return found
    shown: list[dict[str, Any]] = []
    for one in found:
        kind = one.get("type") if isinstance(one, dict) else one
        if isinstance(one, dict) and one.get("enabled") is False:
            continue
        if kind in _SEARCH:
            one = {"type": "file_search"}
        if not isinstance(one, dict) or kind not in _KNOWN | _SEARCH or one in shown:
            continue
        shown.append(one)
    return shown


def _resources(tools: Any, file_ids: Any) -> dict[str, Any] | None:
    """What `file_ids`, as assistants had them before, are today: the files that code may read."""
    if not isinstance(file_ids, list) or {"type": "code_interpreter"} not in (tools or []):
        return None
    found = [one for one in file_ids if isinstance(one, str)][:_MOST_FILES]
    return {"code_interpreter": {"file_ids": found}} if found else None
