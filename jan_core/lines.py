"""Stored objects as lines of JSON in one form, so that two stores have the same object where they have the same bytes.

A line has the fields of the API in their order, written as a reply is, and behind them whatever else is stored of the
object: fields that people, other programs and newer versions added, at whatever depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from jan_core.errors import InvalidRequest
from jan_core.folder.names import check_name
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import StoredRun
from jan_core.usual_lines import NAMES, usual_messages

T = TypeVar("T", bound=BaseModel)

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
    shown = from_json(found.__pydantic_serializer__.to_json(found))
    # What the API knows and leaves out where it is not set is not set here either.
    told = {name: value for name, value in values.items() if name in shown or name not in kind.model_fields}
    return to_json(_with_unknown(told, shown))


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


def objects_in(kind: type[T], lines: Sequence[bytes]) -> list[tuple[T, dict[str, Any]]]:
    """The objects of lines that are to be stored, each with all that its line has.

    Args:
        kind: the schema of all of them.
        lines: JSON, each an object.

    Raises:
        InvalidRequest: a line is no such object, or an id is there twice or cannot be one.
    """
    found = []
    for line in lines:
        try:
            values = from_json(line)
            found.append((kind.model_validate(values, extra="ignore"), values))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "all of it"
            raise InvalidRequest(f"lines: one is none to store: {where}: {first['msg']}", param="lines") from None
        except ValueError:
            raise InvalidRequest("lines: one is no JSON.", param="lines") from None
    if len({check_name(values["id"], param="lines") for _, values in found}) != len(found):
        raise InvalidRequest("lines: an id is there twice.", param="lines")
    return found


def runs_in(thread_id: str, lines: Sequence[bytes]) -> list[tuple[StoredRun, dict[str, Any]]]:
    """The runs of lines that are to be stored in a thread; see `objects_in`.

    Raises:
        InvalidRequest: as there, or a run is of another thread or has not ended.
    """
    found = objects_in(StoredRun, lines)
    for run, _ in found:
        if run.thread_id != thread_id:
            told = f"lines: the run {run.id!r} is of the thread {run.thread_id!r}, not of {thread_id!r}."
            raise InvalidRequest(told, param="lines")
        if not run.ended:
            told = f"The run {run.id!r} is {run.status}; only one that has ended can be stored so."
            raise InvalidRequest(told, param="lines")
    return found


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
