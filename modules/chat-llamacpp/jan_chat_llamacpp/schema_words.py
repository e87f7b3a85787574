"""The words of JSON schema: which of them demand something, of what type, and how one is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from jan_core.errors import InvalidRequest

SAID = frozenset(
    {
        "title",
        "description",
        "default",
        "example",
        "examples",
        "$schema",
        "$id",
        "$comment",
        "$defs",
        "definitions",
        "deprecated",
        "readOnly",
        "writeOnly",
        "discriminator",
        "contentMediaType",
        "contentEncoding",
    }
)
"""Keywords that demand nothing of the answer."""
OF_TYPE: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties", "maxProperties", "minProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength", "format"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "boolean": frozenset(),
    "null": frozenset(),
}
"""Keywords that demand something of a value of one type."""
CHOICES = ("$ref", "const", "enum", "anyOf", "oneOf", "allOf")
"""Keywords that a schema has instead of a type; the first that is there decides."""
KNOWN = frozenset().union({"type"}, CHOICES, *OF_TYPE.values())
"""Keywords that are enforced."""
_SHOWN = 60
"""Characters shown of a value."""


class UnsupportedSchema(InvalidRequest):
    """400: a schema that cannot be enforced; the message names the keyword and its place."""

    code = "invalid_json_schema"


def unsupported(at: str, why: str) -> NoReturn:
    """Refuse a part of a schema.

    Raises:
        UnsupportedSchema: always.
    """
    raise UnsupportedSchema(f"{at}: {why}", param=at)


def is_of_type(kind: str, value: Any) -> bool:
    """Whether a JSON value is of a type of JSON schema."""
    if kind == "integer":
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())  # 1.0 is one too
        return whole and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    python = {"string": str, "boolean": bool, "null": type(None), "object": dict, "array": list}[kind]
    return isinstance(value, python)


def shown(value: Any) -> str:
    """A value as a message shows it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
