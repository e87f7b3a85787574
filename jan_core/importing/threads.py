"""A thread of a foreign root as an object of the API."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jan_core.importing.messages import ARRAY, LINES, read_messages
from jan_core.importing.reading import Unreadable, read_object
from jan_core.importing.values import fields, items, pairs, seconds, text
from jan_core.schemas.messages import Message
from jan_core.schemas.threads import Thread, ThreadAssistant, ThreadParameters

THREAD, MODEL = "thread.json", "model.json"
"""The file of the thread itself, and the one of what answers in it."""

_BARE = f"its {THREAD} is damaged: the messages were brought without what stands there"
_LOADING = ("stream", "engine", "ctx_len", "ngl", "prompt_template", "embedding", "cpu_threads", "n_parallel")


@dataclass(frozen=True)
class Names:
    """What the things of the foreign root are called here.

    Args:
        assistants: foreign id to id.
        models: the same for models.
        instructions: what the assistants are told, by foreign id.
    """

    assistants: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    instructions: Mapping[str, str | None] = field(default_factory=dict)

    def model(self, foreign: Any) -> str | None:
        """A model's id here; `*` and nothing stand for any model."""
        found = text(foreign)
        return None if found in (None, "*") else self.models.get(found, found)


@dataclass(frozen=True)
class Conversation:
    """A thread and its messages.

    Args:
        thread: as it is to be stored.
        messages: the same, in their order.
        instructions: what the model is told in it, where that is not what its assistant says.
        problems: lines that are not to be understood.
        notes: what was left out, or changed.
    """

    thread: Thread
    messages: list[Message]
    instructions: str | None
    problems: list[Unreadable]
    notes: list[str]


def read_conversation(folder: Path, thread_id: str, names: Names) -> Conversation:
    """Read the folder of a thread.

    Args:
        folder: the foreign folder.
        thread_id: what it is called here.
        names: what its assistants and models are called here.

    Raises:
        Unreadable: its `thread.json` is damaged and there are no messages, or these cannot be read at all.
    """
    notes: list[str] = []
    problems: list[Unreadable] = []
    raw: dict[str, Any] = {}
    if os.path.lexists(folder / THREAD):
        try:
            raw = read_object(folder / THREAD)
        except Unreadable as error:
            if not any((folder / name).exists() for name in (ARRAY, LINES)):
                raise
            problems.append(error)
            notes.append(_BARE)
    else:
        notes.append(f"it had no {THREAD}")
    messages = read_messages(folder, thread_id, names.assistants, problems, notes)
    created = seconds(raw.get("created_at"), raw.get("created"), messages[0].created_at if messages else None)
    if created is None:
        created = seconds(raw.get("updated"), folder.stat().st_mtime) or 0
    own = read_object(folder / MODEL) if os.path.lexists(folder / MODEL) else {}
    described = [*embedded_assistants(raw)]
    first_id, first = described[0] if described else ("", {})
    instructions = text(own.get("instructions"), first.get("instructions"))
    if instructions == names.instructions.get(first_id):
        instructions = None
    try:
        thread = Thread.model_validate(_values(raw, own, names, notes) | {"id": thread_id, "created_at": created})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in wrong["loc"])
        damage = Unreadable(folder / THREAD, f"{where}: {wrong['msg']}")
        if not messages:
            raise damage from None
        problems.append(damage)
        notes.append(_BARE)
        thread = Thread(id=thread_id, created_at=created)
    return Conversation(thread, messages, instructions, problems, notes)


def embedded_assistants(raw: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The ids of the assistants that a foreign `thread.json` describes, each with the description."""
    for one in items(raw.get("assistants")):
        found = text(one.get("assistant_id"), one.get("id"))
        if found is not None:
            yield found, one


def _values(raw: dict[str, Any], own: dict[str, Any], names: Names, notes: list[str]) -> dict[str, Any]:
    """The fields of a thread, of its `thread.json` and the `model.json` of its own."""
    described = [*embedded_assistants(raw)]
    first = described[0][1] if described else {}
    model = fields(first.get("model")) or fields(raw.get("model"))
    engine = text(model.get("engine"))
    if engine is not None:
        notes.append(f"engine {engine[:40]!r} was left out: the model says which one answers")
    metadata = dict(fields(raw.get("metadata")))
    metadata.pop("lastMessage", None)
    title = text(raw.get("title"), raw.get("summary"), metadata.get("title"))
    if metadata.get("title") == title:
        metadata.pop("title", None)
    return {
        "tool_resources": raw.get("tool_resources"),
        "metadata": pairs(metadata, notes),
        "title": title,
        "assistants": [_taking_part(foreign, one, names) for foreign, one in described] or None,
        "model": names.model(own.get("model")) or names.model(own.get("id")) or names.model(_id(raw, model)),
        "parameters": _parameters(fields(own.get("parameters")) or fields(model.get("parameters")), notes),
    }


def _id(raw: dict[str, Any], model: dict[str, Any]) -> Any:
    return model.get("id") or raw.get("model_id") or (raw.get("model") if isinstance(raw.get("model"), str) else None)


def _taking_part(foreign: str, one: dict[str, Any], names: Names) -> dict[str, Any]:
    model = one.get("model")
    model = names.model(model.get("id") if isinstance(model, dict) else model)
    said = {} if model is None else {"model": model}
    return ThreadAssistant(assistant_id=names.assistants.get(foreign, foreign)[:128], **said).model_dump()


def _parameters(found: dict[str, Any], notes: list[str]) -> dict[str, Any] | None:
    """The parameters of a thread that can be used here, one by one."""
    kept: dict[str, Any] = {}
    for name, value in found.items():
        if value is None or value in ("", [], {}) or name == "stream":
            continue
        if name in _LOADING:
            notes.append(f"parameters.{name} was left out: it is the model's, not a thread's")
            continue
        try:
            ThreadParameters.model_validate({name: value})
        except ValidationError as error:
            notes.append(f"parameters.{name} was left out: {error.errors(include_url=False)[0]['msg']}")
            continue
        kept[name] = value
    return kept or None
