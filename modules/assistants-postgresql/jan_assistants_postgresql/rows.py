"""An assistant as a row of `jan.assistants`, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from jan_postgresql.texts import as_json
from pydantic import TypeAdapter

from jan_core.schemas.assistants import Assistant

COLUMNS = "id, created_at, fields::text"
"""What is read of a row, in the order of `assistants_of`."""

_MANY: TypeAdapter[list[Assistant]] = TypeAdapter(list[Assistant])


def fields_of(assistant: Assistant) -> str:
    """What the column `fields` has of an assistant."""
    return as_json(assistant.model_dump(mode="json", exclude={"id", "object", "created_at"}))


def assistants_of(rows: Iterable[Sequence[Any]]) -> list[Assistant]:
    """The assistants of rows that were read as `COLUMNS`; the model is an empty string where none is named."""
    # The fields always have a model, so the object is never empty.
    texts = [f'{{"id":{quoted(id)},"created_at":{created},{fields[1:]}' for id, created, fields in rows]
    return _MANY.validate_json(f"[{','.join(texts)}]")
