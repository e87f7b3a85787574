"""From a JSON schema to rules of a grammar: what the engine is made to write always follows the schema.

What cannot be enforced is refused, naming the keyword and its place, or, for a tool that is not `strict`, left to the
model. Not every text that the schema allows can come: properties come in the schema's order, further ones only where
the schema names none, and numbers have at most 15 digits on each side of the point.
"""

from __future__ import annotations

import json
from typing import Any

from jan_chat_llamacpp.apart import apart
from jan_chat_llamacpp.grammar import Grammar, Rule, TooLarge, literal
from jan_chat_llamacpp.json_rules import COLON, COMMA, FORMATS, use
from jan_chat_llamacpp.number_rules import integer_rule, number_rule
from jan_chat_llamacpp.object_rules import object_rule
from jan_chat_llamacpp.places import inside
from jan_chat_llamacpp.schema_words import (
    CHOICES,
    KNOWN,
    OF_TYPE,
    SAID,
    UnsupportedSchema,
    is_of_type,
    shown,
    unsupported,
)

DEEPEST = 40
"""Levels of schemas within schemas, those behind a `$ref` too."""
MOST_SCHEMAS = 2000
"""Schemas within a schema."""


class SchemaRules:
    """The rules of one schema.

    Args:
        grammar: where they go.
        schema: the schema, as its JSON was read.
        at: its place in the request.
        strict: False leaves to the model what cannot be enforced; then a value may be any, but is always JSON.
    """

    def __init__(self, grammar: Grammar, schema: dict[str, Any] | bool, at: str, *, strict: bool) -> None:
        self._grammar = grammar
        self._schema = schema
        self._at = at
        self._strict = strict
        self._referred: dict[str, str] = {}
        self._count = 0

    def add(self) -> str:
        """Add the rules; returns the name of the first. `check_rules` must still look at the whole.

        Raises:
            UnsupportedSchema: naming what cannot be enforced.
            TooLarge: it is too large or too deep.
        """
        first = self._grammar.name("schema")
        self._grammar.schemas.append(self._at)
        return self._grammar.add(first, [[self._any(self._schema, self._at, 0)]], self._at)

    def _any(self, schema: Any, at: str, depth: int) -> str:
        """The token for a schema."""
        self._count += 1
        if depth > DEEPEST or self._count > MOST_SCHEMAS:
            raise TooLarge(f"{at}: a schema may have {MOST_SCHEMAS} parts, {DEEPEST} levels deep.", param=at)
        if schema is True:
            return use(self._grammar, "value")
        if schema is False:
            unsupported(at, "false lets nothing through.")
        if not isinstance(schema, dict):
            unsupported(at, f"a schema is an object, true or false, but this is {shown(schema)}.")
        self._refuse_unknown(schema, at)
        name = next((name for name in CHOICES if name in schema), None)
        if name is not None and not self._may_pass_over(name, schema):
            return self._choice(name, schema, at, depth)
        types = self._types(schema, at)
        self._refuse_idle(schema, types, at)
        tokens = [self._typed(kind, schema, at, depth) for kind in types]
        return tokens[0] if len(tokens) == 1 else self._alternatives([[token] for token in tokens], at)

    def _alternatives(self, rule: Rule, at: str) -> str:
        return self._grammar.add(self._grammar.name("r"), rule, at)

    def _leave(self, at: str, why: str) -> None:
        """Refuse what cannot be enforced, unless it may be left to the model."""
        if self._strict:
            unsupported(at, why)

    def _refuse_unknown(self, schema: dict[str, Any], at: str) -> None:
        for name in schema:
            if name not in KNOWN and name not in SAID:
                self._leave(inside(at, name), f"the keyword {name[:40]!r} cannot be enforced; leave it out.")

    def _refuse_idle(self, schema: dict[str, Any], types: list[str], at: str) -> None:
        """Refuse keywords of a type that the schema does not have: most often a mistake, and never enforced."""
        fitting = frozenset().union(*(OF_TYPE[kind] for kind in types))
        for name in schema:
            if name in KNOWN and name != "type" and name not in fitting:
                self._leave(inside(at, name), f"{name!r} says nothing about the type {' or '.join(types)}.")

    def _types(self, schema: dict[str, Any], at: str) -> list[str]:
        given = schema.get("type")
        if given is None:
            found = [kind for kind, names in OF_TYPE.items() if kind != "integer" and names & schema.keys()]
            if len(found) > 1:
                self._leave(at, f"say its `type`; its keywords are those of {' and '.join(found)}.")
            return found or ["object", "array", "string", "number", "boolean", "null"]
        types = given if isinstance(given, list) else [given]
        if not types or not all(isinstance(kind, str) and kind in OF_TYPE for kind in types):
            unsupported(inside(at, "type"), f"must be one of {', '.join(OF_TYPE)}, or several, not {shown(given)}.")
        if "number" in types:
            types = [kind for kind in types if kind != "integer"]
        return list(dict.fromkeys(types))

    def _may_pass_over(self, name: str, schema: dict[str, Any]) -> bool:
        """Whether a choice may be left to the model because the schema has a type of its own, which says more."""
        return (
            not self._strict and name in ("anyOf", "oneOf", "allOf") and {"type", "properties"} & schema.keys() != set()
        )

    def _choice(self, name: str, schema: dict[str, Any], at: str, depth: int) -> str:
        place = inside(at, name)
        # `type` beside `enum` and `const` only chooses among them; beside the others it must be repeated in each.
        beside = [other for other in schema if other in KNOWN and other != name]
        if name in ("enum", "const"):
            beside = [other for other in beside if other != "type"]
        if beside:
            self._leave(inside(at, beside[0]), f"cannot be enforced beside {name!r}; write it into each of its parts.")
        if name == "$ref":
            return self._reference(schema["$ref"], place, depth)
        parts = [schema["const"]] if name == "const" else schema[name]
        if not isinstance(parts, list) or not parts:
            unsupported(place, "must be an array with at least one element.")
        if name in ("const", "enum"):
            return self._values(parts, schema, place)
        if name == "allOf":
            if len(parts) > 1:
                self._leave(place, "only one schema can be enforced here; write all into one.")
            return self._any(parts[0], inside(place, 0), depth + 1)
        if name == "oneOf" and not self._apart(parts):
            self._leave(place, "its parts may overlap, so it cannot be enforced; anyOf can be.")
        tokens = [self._any(part, inside(place, index), depth + 1) for index, part in enumerate(parts)]
        return self._alternatives([[token] for token in tokens], place)

    def _values(self, values: list[Any], schema: dict[str, Any], place: str) -> str:
        if "type" in schema:
            types = self._types({"type": schema["type"]}, place)
            values = [value for value in values if any(is_of_type(kind, value) for kind in types)]
            if not values:
                unsupported(place, f"no value in it is of the type {' or '.join(types)}.")
        texts = dict.fromkeys(json.dumps(value, ensure_ascii=False) for value in values)
        return self._alternatives([[literal(text)] for text in texts], place)

    def _apart(self, parts: list[Any]) -> bool:
        """Whether no value can follow two of the parts."""
        resolved = []
        for part in parts:
            seen: set[str] = set()
            while isinstance(part, dict) and isinstance(part.get("$ref"), str) and part["$ref"] not in seen:
                seen.add(part["$ref"])
                part = self._target(part["$ref"], self._at)
            resolved.append(part)
        return len(parts) == 1 or apart(resolved)

    def _reference(self, pointer: Any, at: str, depth: int) -> str:
        if isinstance(pointer, str) and pointer in self._referred:
            return self._referred[pointer]
        try:
            target = self._target(pointer, at)
        except UnsupportedSchema:
            if self._strict:
                raise
            return use(self._grammar, "value")
        name = self._referred[pointer] = self._grammar.name("ref")
        place = inside(self._at, *pointer.split("/")[1:])
        self._grammar.add(name, [[]], place)
        self._grammar.rules[name] = [[self._any(target, place, depth + 1)]]
        return name

    def _target(self, pointer: Any, at: str) -> Any:
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            unsupported(
                at, f"only references within the schema, such as '#/$defs/x', are followed, not {shown(pointer)}."
            )
        found: Any = self._schema
        for step in pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isascii() and key.isdigit() and int(key) < len(found):
                found = found[int(key)]
            else:
                unsupported(at, f"{shown(pointer)} is not in the schema.")
        return found

    def _typed(self, kind: str, schema: dict[str, Any], at: str, depth: int) -> str:
        if kind == "object":
            return self._object(schema, at, depth)
        if kind == "array":
            return self._array(schema, at, depth)
        if kind == "string":
            return self._string(schema, at)
        if kind in ("integer", "number"):
            return self._numeric(kind, schema, at)
        return use(self._grammar, kind)

    def _string(self, schema: dict[str, Any], at: str) -> str:
        least, most = self._count_of("minLength", schema, at), self._count_of("maxLength", schema, at)
        form = schema.get("format")
        if form is not None:
            if form not in FORMATS:
                self._leave(inside(at, "format"), f"{shown(form)} cannot be enforced; known are {', '.join(FORMATS)}.")
            elif least is not None or most is not None:
                self._leave(inside(at, "format"), "cannot be enforced together with a length.")
            else:
                return self._alternatives([[literal('"'), use(self._grammar, form), literal('"')]], at)
        if least is None and most is None:
            return use(self._grammar, "string")
        chars = self._repeat(use(self._grammar, "char"), least or 0, most, at, "minLength", "maxLength")
        return self._alternatives([[literal('"'), *chars, literal('"')]], at)

    def _numeric(self, kind: str, schema: dict[str, Any], at: str) -> str:
        bounds = {name: self._bound(name, schema, at, kind) for name in sorted(OF_TYPE[kind]) if name in schema}
        bounds = {name: value for name, value in bounds.items() if value is not None}
        if not bounds:
            return use(self._grammar, "whole" if kind == "integer" else "number")
        above, low = bounds.get("exclusiveMinimum"), bounds.get("minimum")
        below, high = bounds.get("exclusiveMaximum"), bounds.get("maximum")
        if kind == "integer":
            low = max(
                (value for value in (low, None if above is None else above + 1) if value is not None), default=None
            )
            high = min(
                (value for value in (high, None if below is None else below - 1) if value is not None), default=None
            )
            return integer_rule(self._grammar, low, high, at)
        without_low = above is not None and (low is None or above >= low)
        without_high = below is not None and (high is None or below <= high)
        return number_rule(
            self._grammar, above if without_low else low, below if without_high else high, without_low, without_high, at
        )

    def _bound(self, name: str, schema: dict[str, Any], at: str, kind: str) -> int | None:
        value, place = schema[name], inside(at, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            unsupported(place, f"must be a number, not {shown(value)}.")
        if abs(value) >= 10**15 or value != int(value):
            self._leave(place, "only whole numbers of up to 15 digits can be enforced as a bound.")
            return None
        return int(value)

    def _count_of(self, name: str, schema: dict[str, Any], at: str) -> int | None:
        value = schema.get(name)
        if value is None:
            return None
        if not is_of_type("integer", value) or value < 0:
            unsupported(inside(at, name), f"must be a whole number from 0 up, not {shown(value)}.")
        return int(value)

    def _repeat(self, token: str, least: int, most: int | None, at: str, low: str, high: str) -> list[str]:
        """The tokens for a token so many times; a limit beyond what can be enforced may be left to the model."""
        if most is not None and least > most:
            unsupported(inside(at, low), f"is more than {high!r}.")
        if most == 0:
            return []
        try:
            return [self._grammar.repeat(token, least, most, inside(at, high if most is not None else low))]
        except TooLarge:
            if self._strict:
                raise
        return [f"{token}*"]

    def _array(self, schema: dict[str, Any], at: str, depth: int) -> str:
        least, most = self._count_of("minItems", schema, at) or 0, self._count_of("maxItems", schema, at)
        if schema.get("uniqueItems"):
            self._leave(inside(at, "uniqueItems"), "cannot be enforced; leave it out.")
        first = schema.get("prefixItems", [])
        if not isinstance(first, list):
            unsupported(inside(at, "prefixItems"), "must be an array of schemas.")
        if most is not None:
            first = first[:most]
            most -= len(first)
        if first:
            least = max(0, least - len(first))
        tokens: list[str] = []
        for index, part in enumerate(first):
            tokens += [COMMA] if index else []
            tokens.append(self._any(part, inside(at, "prefixItems", index), depth + 1))
        items = schema.get("items", True)
        if most == 0 or (items is False and not least):
            return self._alternatives([[literal("["), *tokens, literal("]")]], at)
        item = self._any(items, inside(at, "items"), depth + 1)
        more = self._alternatives([[COMMA, item]], at)
        fewer = None if most is None else most - 1
        if first:
            rest = self._repeat(more, least, most, at, "minItems", "maxItems")
            return self._alternatives([[literal("["), *tokens, *rest, literal("]")]], at)
        rest = self._repeat(more, max(0, least - 1), fewer, at, "minItems", "maxItems")
        full = [literal("["), item, *rest, literal("]")]
        return self._alternatives([full] if least else [full, [literal("[]")]], at)

    def _object(self, schema: dict[str, Any], at: str, depth: int) -> str:
        least, most = self._count_of("minProperties", schema, at), self._count_of("maxProperties", schema, at)
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict):
            unsupported(inside(at, "properties"), f"must be an object, not {shown(properties)}.")
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            unsupported(inside(at, "required"), f"must be an array of strings, not {shown(required)}.")
        further = schema.get("additionalProperties", True)
        values: dict[str, str] = {}
        for name in dict.fromkeys([*properties, *required]):
            if name in properties:
                values[name] = self._any(properties[name], inside(at, "properties", name), depth + 1)
            elif further is False:
                unsupported(
                    inside(at, "required", required.index(name)),
                    f"{shown(name)} is required, but `properties` lacks it and `additionalProperties` is false.",
                )
            else:
                values[name] = self._any(further, inside(at, "additionalProperties"), depth + 1)
        if values or further is False:
            if (least or 0) > len(set(required)):
                self._leave(inside(at, "minProperties"), "cannot be enforced beside properties; require them instead.")
            if most is not None and most < len(values):
                self._leave(inside(at, "maxProperties"), "cannot be enforced where more properties are named.")
            return object_rule(self._grammar, values, set(required), at)
        if (least or 0) > 1:
            self._leave(inside(at, "minProperties"), "more than 1 cannot be enforced, for keys may come twice.")
        entry = self._alternatives(
            [[use(self._grammar, "string"), COLON, self._any(further, inside(at, "additionalProperties"), depth + 1)]],
            at,
        )
        more = self._alternatives([[COMMA, entry]], at)
        if most == 0:
            return self._alternatives([[literal("{}")]], at)
        rest = self._repeat(more, 0, None if most is None else most - 1, at, "minProperties", "maxProperties")
        full = [literal("{"), entry, *rest, literal("}")]
        return self._alternatives([full] if least else [full, [literal("{}")]], at)
