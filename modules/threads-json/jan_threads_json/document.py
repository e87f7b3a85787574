"""Between a thread's files and the thread of the API: lenient when it reads, and careful with what it does not know.

`thread.json` holds the thread, and `model.json` beside it what answers in it: `id` names the model, `parameters` its
values.
"""

from __future__ import annotations

from typing import Any

from jan_core.folder.fields import checked, parameters_in, said, time_made, updated
from jan_core.schemas.threads import Thread

THREAD = "thread.json"
"""The file that makes a folder a thread."""
MODEL = "model.json"
"""The file of what answers in the thread."""
IN_MODEL = frozenset({"model", "parameters"})
"""Fields of a thread that stand in `model.json`."""

_LONGEST_ID = 128
_LONGEST_MODEL = 512
_MOST = 128


def thread_of(
    thread_id: str, path: str, values: dict[str, Any], content: bytes, settings: dict[str, Any] | None
) -> Thread:
    """The thread that the files hold.

    Args:
        thread_id: the folder's name; an `id` in the file does not count.
        path: of `thread.json`.
        values: what is in it.
        content: its bytes.
        settings: what is in `model.json`; None where there is none, or a damaged one.

    Raises:
        Damaged: a required field is missing, or one has a wrong type.
    """
    return checked(Thread, shown_of(thread_id, path, values, content, settings), path, content)


def shown_of(
    thread_id: str, path: str, values: dict[str, Any], content: bytes, settings: dict[str, Any] | None
) -> dict[str, Any]:
    """The fields of the thread that the files hold, not checked yet; see `thread_of`."""
    shown = {name: values.get(name) for name in Thread.model_fields if name not in IN_MODEL}
    shown["created_at"] = time_made(path, values, content)
    shown["assistants"] = _assistants(shown["assistants"])
    if settings is not None:
        parameters = settings.get("parameters")
        shown["model"], shown["parameters"] = model_of(settings), parameters if isinstance(parameters, dict) else None
    shown["id"], shown["object"] = thread_id, "thread"
    return shown


def settings_of(path: str, values: dict[str, Any], content: bytes) -> dict[str, Any]:
    """What `model.json` sets, by the names of settings.

    Raises:
        Damaged: `parameters` is no object.
    """
    parameters = parameters_in(path, values, content)
    return said({**parameters, "model": model_of(values), "instructions": values.get("instructions")})


def model_of(settings: dict[str, Any]) -> str | None:
    """The model that a `model.json` names; `*`, which stood for any, names none."""
    for name in ("model", "id"):
        if isinstance(settings.get(name), str) and settings[name] not in ("", "*"):
            return str(settings[name])
    return None


def thread_values(thread: Thread, before: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The values for `thread.json`: those that were there, with the named fields as the thread has them."""
    values = updated(before, thread, names - IN_MODEL)
    if "assistants" in names and values.get("assistants"):
        values["assistants"] = _merged(values["assistants"], before.get("assistants"))
    return values


def model_values(thread: Thread, before: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The values for `model.json`: those that were there, with the named fields as the thread has them.

    Returns:
        An empty dictionary where nothing is left to say.
    """
    values = dict(before)
    if "model" in names:
        values.pop("model", None)
        values.pop("id", None)
        if thread.model is not None:
            values = {"id": thread.model, "object": "model", **values}
    if "parameters" in names:
        values.pop("parameters", None)
        if thread.parameters is not None:
            values["parameters"] = thread.parameters
    return {} if values.keys() <= {"object"} else values


def _assistants(found: Any) -> Any:
    """Who takes part, as the API has it: older applications wrote more, and the model as an object."""
    if not isinstance(found, list):
        return found
    shown = []
    for one in found:
        name = one.get("assistant_id", one.get("id")) if isinstance(one, dict) else one
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ID:
            continue
        entry = {"assistant_id": name}
        model = _model_name(one)
        if model is not None:
            entry["model"] = model
        shown.append(entry)
    return shown[:_MOST]


def _model_name(one: Any) -> str | None:
    model = one.get("model") if isinstance(one, dict) else None
    if isinstance(model, dict):
        model = model.get("id")
    # `*` stood for any model.
    return model if isinstance(model, str) and 0 < len(model) <= _LONGEST_MODEL and model != "*" else None


def _merged(told: list[dict[str, Any]], before: Any) -> list[dict[str, Any]]:
    """The new entries, each with what the file said besides of the same assistant."""
    known = {one.get("assistant_id"): one for one in reversed(before or ()) if isinstance(one, dict)}
    merged = []
    for one in told:
        entry = {**known.get(one["assistant_id"], {}), **one}
        if one.get("model") == _model_name(entry | {"model": known.get(one["assistant_id"], {}).get("model")}):
            entry["model"] = known.get(one["assistant_id"], {}).get("model")
        elif "model" not in one:
            entry.pop("model", None)
        if entry.get("model") is None:
            entry.pop("model", None)
        merged.append(entry)
    return merged
