"""From the bytes of a request body, or a query, to a checked object, or to an error that names the field.

`parse`, `checked` and `parse_query` are the only ways in. What they refuse, they refuse with `InvalidRequest`, whose
`param` is a path such as `messages[0].content`, and whose message says what was expected and what was found. They raise
nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from jan_core.errors import InvalidRequest
from jan_core.schemas.base import keeping_unknown

M = TypeVar("M", bound=BaseModel)
Path = list[str | int]

_SHOWN = 60
"""Characters shown of a value, and of a field's name."""
_WIDE = 10_000
"""Fields that one object may have. Each unknown one costs an error of some hundred bytes, so there must be an end."""
_TOKENS = 500_000
"""How far `path_at` reads (some 0.3 s), in lines, and in brackets, strings and what stands between."""
_DEEP = 100
"""Characters after which a path is cut, at the end of a step; it then names what contains the field."""

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]|[^"\[\]{}]++', re.DOTALL)
_WHERE = re.compile(r"(?P<what>.*) at line (?P<line>\d+) column (?P<column>\d+)", re.DOTALL)
_PAIR = re.compile(r"(?P<name>\w+)\[(?P<key>[^\[\]]*)\]", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*", re.ASCII)

# What the parser says of the commoner faults, in words for a person.
_FAULTS = {
    "recursion limit exceeded": "brackets are nested more than 200 deep",
    "number out of range": "an integer has more than 4,300 digits",
    "unexpected end of hex escape": "half of a surrogate pair stands alone",
    "lone leading surrogate in hex escape": "half of a surrogate pair stands alone",
    "invalid unicode code point": "the text is not UTF-8",
    "expected ident": "only true, false and null are words here",
}
# What pydantic's kinds of errors call the type that they miss.
_TYPES = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer of fewer digits",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}
_LIMITS = {
    "greater_than_equal": "a number from {ge} up",
    "greater_than": "a number above {gt}",
    "less_than_equal": "a number up to {le}",
    "less_than": "a number below {lt}",
    "finite_number": "a finite number",
    "union_tag_invalid": "one of {expected_tags}",
    "string_too_short": "a string of at least {min_length} characters",
    "string_too_long": "a string of at most {max_length} characters",
    "string_pattern_mismatch": "a string that matches {pattern}",
    "literal_error": "{expected}",
}


def parse(model: type[M], raw: bytes, *, unknown: bool = False) -> M:
    """Read a request body.

    Args:
        model: what the body must be; its own strictness holds.
        raw: the body as it came, of any length and with any bytes.
        unknown: keep fields that `model` does not know, in `model_extra`; those of objects within it are refused still.

    Returns:
        The checked object.

    Raises:
        InvalidRequest: with code `invalid_json` where it is no JSON (RFC 8259; no NaN, no lone surrogates, at most
            200 levels and 4,300 digits), else `unknown_field`, `missing_field`, `invalid_type` or `invalid_value`.
    """
    try:
        data = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise _not_json(raw, str(error)) from None
    if not isinstance(data, dict):
        raise InvalidRequest(f"The body must be a JSON object, but is {_found(data)}.", code="invalid_type")
    if raw.count(b":") > _WIDE:
        _refuse_wide(data)
    return checked(keeping_unknown(model) if unknown else model, data)


def refuse_unknown(body: BaseModel) -> None:
    """Refuse the fields that `parse` kept, as it does where it keeps none.

    Raises:
        InvalidRequest: there is one; with code `unknown_field`.
    """
    if body.model_extra:
        raise _unknown([[name] for name in body.model_extra], type(body))


def checked(model: type[M], data: dict[str, Any]) -> M:
    """Check an object that is put together here, of values from elsewhere.

    Args:
        model: what it must be.
        data: what JSON can be.

    Raises:
        InvalidRequest: as `parse`, but for `invalid_json`.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _refusal(model, data, error) from None


def parse_query(model: type[M], pairs: Mapping[str, str]) -> M:
    """Check the parameters of a query string.

    Args:
        model: what they must be; numbers and truth values are read from their text.
        pairs: names and values, decoded. `metadata[key]` is the pair `key` of the object `metadata`.

    Returns:
        The checked object.

    Raises:
        InvalidRequest: with a code of those of `parse`, and `param` naming the parameter.
    """
    data: dict[str, Any] = {}
    for name, value in pairs.items():
        match = _PAIR.fullmatch(name)
        if match is None:
            data[name] = value
        elif isinstance(group := data.setdefault(match["name"], {}), dict):
            group[match["key"]] = value
    try:
        return model.model_validate_strings(data)
    except ValidationError as error:
        raise _refusal(model, data, error) from None


def path_at(raw: bytes, offset: int) -> str | None:
    """Tell which field a place in a JSON text belongs to, even where the text is broken from there on.

    Args:
        raw: the text.
        offset: the place, in bytes from 0.

    Returns:
        A path such as `messages[0].content`; None for the outermost value, or where it is too far in to look.
    """
    path: Path = []  # one step for each open bracket: the index in an array, the key in an object
    opened: list[bool] = []  # for each of them, whether the step counts: an object before its first colon has none
    key = b""
    for number, match in enumerate(_TOKEN.finditer(raw, 0, max(0, offset))):
        if number == _TOKENS:
            return None
        token = match[0]
        first = token[:1]
        if first == b'"':
            key = token
        elif first in (b"{", b"["):
            path.append(0 if first == b"[" else "")
            opened.append(first == b"[")
        elif first in (b"}", b"]"):
            if path:
                path.pop()
                opened.pop()
        elif path:
            step = path[-1]
            if isinstance(step, int):
                path[-1] = step + token.count(b",")
            elif token.rfind(b":") > token.rfind(b","):
                path[-1] = _unquoted(key)
                opened[-1] = True
            elif b"," in token:
                opened[-1] = False
    steps = [step for step, counts in zip(path, opened, strict=True) if counts]
    return _text(steps) if path and not isinstance(path[0], int) else None


def _unquoted(key: bytes) -> str:
    try:
        return str(from_json(key))
    except ValueError:
        return "?"


def _offset(raw: bytes, line: int, column: int) -> int | None:
    """The place that the parser means by a line and a column (bytes, from 1; 0 is the break before the line)."""
    if line > _TOKENS:
        return None
    ends = islice(re.finditer(b"\n", raw), line - 2, line - 1) if line > 1 else iter(())
    return max(0, next((end.end() for end in ends), 0) + column - 1)


def _not_json(raw: bytes, problem: str) -> InvalidRequest:
    if not raw.strip():
        return InvalidRequest("The body is empty; a JSON object is needed.", code="invalid_json")
    match = _WHERE.fullmatch(problem)
    if match is None:
        return InvalidRequest(f"The body is not valid JSON: {problem[:_SHOWN]}.", code="invalid_json")
    line, column = int(match["line"]), int(match["column"])
    offset = len(raw) if match["what"].startswith("EOF") else _offset(raw, line, column)
    fault = _FAULTS.get(match["what"], match["what"][:_SHOWN])
    return InvalidRequest(
        f"The body is not valid JSON: {fault}, in line {line}, column {max(1, column)}.",
        param=None if offset is None else path_at(raw, offset),
        code="invalid_json",
    )


def _refuse_wide(data: dict[str, Any]) -> None:
    todo: list[tuple[Path, Any]] = [([], data)]
    while todo:
        path, node = todo.pop()
        if isinstance(node, dict):
            if len(node) > _WIDE:
                where = _text(path)
                raise InvalidRequest(
                    f"{where or 'The body'}: an object may have {_WIDE:,} fields, and this one has {len(node):,}.",
                    param=where,
                    code="invalid_value",
                )
            todo.extend(([*path, key], value) for key, value in node.items() if isinstance(value, dict | list))
        else:
            todo.extend(([*path, i], value) for i, value in enumerate(node) if isinstance(value, dict | list))


def _refusal(model: type[BaseModel], data: dict[str, Any], error: ValidationError) -> InvalidRequest:
    located = [(_path(data, details), details) for details in error.errors(include_url=False)]
    unknown = (path for path, details in located if details["type"] == "extra_forbidden" and len(path) == 1)
    # A misspelt field explains a missing one, so it is told first.
    if (misspelt := _misspelt(unknown, model)) is not None:
        return misspelt
    deepest = max((path for path, _ in located), key=len)
    same = [details for path, details in located if path == deepest]
    where = _text(deepest)
    kinds = {details["type"] for details in same}
    if "extra_forbidden" in kinds:
        return _unknown([deepest], model)
    if kinds & {"missing", "union_tag_not_found"}:
        return InvalidRequest(f"{where}: required, but not there.", param=where, code="missing_field")
    expected = " or ".join(dict.fromkeys(_expected(details) for details in same))
    wrong_type = all(kind in _TYPES or kind == "invalid_type" for kind in kinds)
    found = same[0]["input"]
    if same[0]["type"] == "union_tag_invalid":
        found = found[deepest[-1]]
    return InvalidRequest(
        f"{where}: expected {expected}, found {_found(found)}.",
        param=where,
        code="invalid_type" if wrong_type else "invalid_value",
    )


def _unknown(paths: list[Path], model: type[BaseModel]) -> InvalidRequest:
    where = _text(paths[0])
    plain = InvalidRequest(f"{where}: unknown field.", param=where, code="unknown_field")
    return _misspelt((path for path in paths if len(path) == 1), model) or plain


def _misspelt(unknown: Iterable[Path], model: type[BaseModel]) -> InvalidRequest | None:
    names = [field.alias or name for name, field in model.model_fields.items()]
    for path in islice(unknown, 10):
        close = get_close_matches(str(path[0])[:_SHOWN], names, 1)
        if close:
            where = _text(path)
            message = f"{where}: unknown field; did you mean `{close[0]}`?"
            return InvalidRequest(message, param=where, code="unknown_field")
    return None


def _expected(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _TYPES:
        return _TYPES[kind]
    if kind in ("too_short", "too_long"):
        what = "an object with {} {} fields" if context["field_type"] == "Dictionary" else "an array of {} {}"
        short = kind == "too_short"
        return what.format("at least" if short else "at most", context["min_length" if short else "max_length"])
    if kind in _LIMITS:
        return _LIMITS[kind].format_map(context)
    return details["msg"][:200]


def _path(data: dict[str, Any], details: ErrorDetails) -> Path:
    """pydantic's place of an error without the steps that are no fields: tags and classes of unions, `[key]`.

    A tag may be spelt as a field is, so both readings are followed through the data and the better one is taken:
    the one that ends at the value pydantic had in hand, then the one that passes over fewer steps other than tags.
    """
    loc, kind = list(details["loc"]), details["type"]
    last = loc.pop() if kind in ("missing", "invalid_type") and loc else None  # a field that may not be there
    readings: list[tuple[Path, Any, int]] = [([], data, 0)]
    for step in loc:
        longer: list[tuple[Path, Any, int]] = []
        for path, node, cost in readings:
            within = isinstance(node, dict) and step in node
            is_tag = isinstance(node, dict) and step in (node.get("role"), node.get("type"))
            if within or (isinstance(node, list) and isinstance(step, int) and step < len(node)):
                longer.append(([*path, step], node[step], cost))
            if is_tag or not longer or longer[-1][0][:-1] != path:
                longer.append((path, node, cost + (1 if is_tag else 2)))
        readings = longer
    path, node, _ = min(readings, key=lambda reading: (reading[1] is not details["input"], reading[2]))
    if last is not None:
        path = [*path, last]
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        path = [*path, str(details.get("ctx", {}).get("discriminator", "")).strip("'")]
    return path


def _steps(path: Path) -> Iterator[str]:
    for step in path:
        if isinstance(step, int):
            yield f"[{step}]"
        elif _NAME.fullmatch(step[: _SHOWN + 1]) and len(step) <= _SHOWN:
            yield f".{step}"
        else:
            yield f"[{_quoted(step)}]"


def _text(path: Path) -> str | None:
    text = ""
    for step in _steps(path):
        if len(text) + len(step) > _DEEP:
            break
        text += step
    return text.removeprefix(".") or None


def _quoted(value: str) -> str:
    # As JSON in ASCII: whatever a client sent, the message has no control characters and can be logged.
    text = json.dumps(value[:_SHOWN], ensure_ascii=not value[:_SHOWN].isprintable())
    return text if len(value) <= _SHOWN else f'{text[:-1]}…"'


def _found(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list):
        return f"an array of {len(value)}" if value else "an empty array"
    return f"an object with {len(value)} field{'s' * (len(value) > 1)}" if value else "an empty object"
