"""Stored objects as lines of JSON in one form, so that two stores have the same object where they have the same bytes.

A line has the fields of the API in their order, written as a reply is, and behind them whatever else is stored of the
object: fields that people, other programs and newer versions added, at whatever depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from jan_core.schemas.messages import Message
from jan_core.usual_lines import NAMES, usual_messages

_ID, _THREAD = NAMES.index("id"), NAMES.index("thread_id")


def line_of(kind: type[BaseModel], values: dict[str, Any]) -> bytes:
    """An object as a line.

    Args:
        kind: its schema.
        values: what is stored of it.

    Raises:
        ValidationError: it lacks what such an object must have, or has something else there.
    """
    found = kind.model_validate(values, extra="ignore")
    return to_json(_with_unknown(values, from_json(found.__pydantic_serializer__.to_json(found))))


class Known(NamedTuple):
    """What `known_in` tells of lines.

    Attributes:
        ids: of the objects, in their order.
        threads: the threads they belong to; empty where objects of this kind belong to none.
    """

    ids: tuple[str, ...]
    threads: frozenset[str]


def known_in(kind: type[BaseModel], lines: Sequence[bytes]) -> Known | None:
    """Look whether all lines are as `line_of` makes them of objects without further fields. It is quick.

    Args:
        kind: the schema of all of them.
        lines: JSON, each an object.

    Returns:
        None where a line is otherwise.
    """
    rows = usual_messages(lines) if kind is Message else None
    if rows is not None:
        # Decoded all at once: no id of a usual message has a line break.
        ids = b"\n".join([row[_ID] for row in rows]).decode().split("\n")
        return Known(tuple(ids), frozenset([one.decode() for one in {row[_THREAD] for row in rows}]))
    return _known(kind, b"[%b]" % b",".join(lines))


@lru_cache(maxsize=16)  # what one store has looked at is looked at by the other next
def _known(kind: type[BaseModel], text: bytes) -> Known | None:
    several = _several(kind)
    try:
        found = several.validate_json(text, extra="ignore")
    except ValidationError:
        return None
    if several.dump_json(found) != text:
        return None
    threads = frozenset([one.thread_id for one in found]) if "thread_id" in kind.model_fields else frozenset[str]()
    return Known(tuple([one.id for one in found]), threads)


def split(kind: type[BaseModel], line: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a line that its schema has, and the others.

    Raises:
        ValidationError: see `line_of`.
    """
    values = from_json(line)
    kind.model_validate(values, extra="ignore")
    known = {name: value for name, value in values.items() if name in kind.model_fields}
    return known, {name: value for name, value in values.items() if name not in known}


def _with_unknown(raw: Any, known: Any) -> Any:
    """What the API shows of a value, and what it leaves out, which comes behind it in the order of the names."""
    if isinstance(raw, dict) and isinstance(known, dict):
        shown = {name: _with_unknown(raw.get(name), value) for name, value in known.items()}
        return shown | {name: raw[name] for name in sorted(raw.keys() - known.keys())}
    if isinstance(raw, list) and isinstance(known, list) and len(raw) == len(known):
        return [_with_unknown(one, shown) for one, shown in zip(raw, known, strict=True)]
    return known


@cache
def _several(kind: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(list[kind])  # type: ignore[valid-type]
