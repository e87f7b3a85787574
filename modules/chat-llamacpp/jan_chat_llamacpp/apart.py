"""Whether the parts of a `oneOf` exclude each other, as those of a discriminated union do."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any


def apart(parts: list[Any]) -> bool:
    """True where it is certain that no value follows two of the schemas."""
    return all(_two(one, other) for one, other in combinations(parts[:100], 2)) and len(parts) <= 100


def _two(one: Any, other: Any) -> bool:
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    values, others = _values(one), _values(other)
    if values is not None and others is not None:
        return values.isdisjoint(others)
    types, more = _types(one), _types(other)
    if types and more and types.isdisjoint(more):
        return True
    return types == more == {"object"} and any(_differ(name, one, other) for name in _required(one) & _required(other))


def _differ(name: str, one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = (_values(_properties(schema).get(name)) for schema in (one, other))
    return first is not None and second is not None and first.isdisjoint(second)


def _values(schema: Any) -> set[str] | None:
    """The only values of a schema, as JSON; None where it lets others through."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return {json.dumps(schema["const"], sort_keys=True)}
    if isinstance(schema.get("enum"), list):
        return {json.dumps(value, sort_keys=True) for value in schema["enum"]}
    return None


def _types(schema: dict[str, Any]) -> set[str]:
    given = schema.get("type")
    types = set(filter(lambda kind: isinstance(kind, str), given if isinstance(given, list) else [given]))
    return types - {"integer"} | {"number"} if "integer" in types else types


def _required(schema: dict[str, Any]) -> set[str]:
    given = schema.get("required")
    return {name for name in given if isinstance(name, str)} if isinstance(given, list) else set()


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    given = schema.get("properties")
    return given if isinstance(given, dict) else {}
