"""An assistant as a row of `jan.assistants`, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from jan_postgresql.texts import as_json
from pydantic import TypeAdapter
from pydantic_core import from_json

from jan_core.folder.fields import updated
from jan_core.lines import line_of, objects_in
from jan_core.schemas.assistants import Assistant

SETTINGS = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")
"""Fields of an assistant that say how a model answers."""
COLUMNS = "id, created_at, fields::text"
"""What is read of a row, in the order of `assistants_of`."""

_MANY: TypeAdapter[list[Assistant]] = TypeAdapter(list[Assistant])


BESIDE = "model.json"
"""What an assistant that came from a folder has under this name stood in that file, and says what answers."""
_APART = {"id", "object", "created_at"}


def fields_of(assistant: Assistant) -> str:
    """What the column `fields` has of an assistant."""
    return as_json(assistant.model_dump(mode="json", exclude=_APART))


def fields_changed(before: str, changed: Assistant, names: Set[str]) -> str:
    """What the column `fields` is to have of an assistant after a change; what the API does not know of it stays.

    Args:
        before: what it has.
        changed: the assistant as it is to be.
        names: of the fields that the change has.
    """
    return as_json(updated(from_json(before), changed, names - _APART))


def line(id: str, created_at: int, fields: str) -> bytes:
    """The line of a row, for copying."""
    return line_of(Assistant, {"id": id, "created_at": created_at, **from_json(fields)})


def restoring(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Assistants that are to be stored, as rows: `id`, `created_at`, `fields`.

    Raises:
        InvalidRequest: a line is no assistant, or an id is there twice or cannot be one.
    """
    return [
        {
            "id": one.id,
            "created_at": one.created_at,
            "fields": as_json({name: value for name, value in values.items() if name not in _APART}),
        }
        for one, values in objects_in(Assistant, lines)
    ]


def settings_in(fields: str) -> list[dict[str, Any]]:
    """What an assistant sets of how a model answers, the stronger first: itself, and what it has from `model.json`."""
    values = from_json(fields)
    own = _parameters(values) | {name: values.get(name) for name in SETTINGS}
    beside = values.get(BESIDE)
    found = [own]
    if isinstance(beside, dict):
        model = beside.get("model") or beside.get("id")
        named = {"model": model if isinstance(model, str) and model != "*" else None}
        found.append(_parameters(beside) | named | {"instructions": beside.get("instructions")})
    return [{name: value for name, value in one.items() if value not in (None, "", [])} for one in found]


def _parameters(values: dict[str, Any]) -> dict[str, Any]:
    found = values.get("parameters")
    return dict(found) if isinstance(found, dict) else {}


def assistants_of(rows: Iterable[Sequence[Any]]) -> list[Assistant]:
    """The assistants of rows that were read as `COLUMNS`; the model is an empty string where none is named."""
    # The fields always have a model, so the object is never empty.
    texts = [f'{{"id":{quoted(id)},"created_at":{created},{fields[1:]}' for id, created, fields in rows]
    # What was copied from elsewhere may have fields that the API does not know.
    return _MANY.validate_json(f"[{','.join(texts)}]", extra="ignore")
