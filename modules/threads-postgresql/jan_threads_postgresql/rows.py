"""A thread as a row of `jan.threads`, and back; and the labels that it is found by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from jan_postgresql.texts import as_json
from pydantic import TypeAdapter
from pydantic_core import from_json

from jan_core.folder.fields import updated
from jan_core.lines import line_of, objects_in
from jan_core.schemas.threads import Thread, ThreadsQuery

COLUMNS = "id, created_at, fields::text"
"""What is read of a row, in the order of `threads_of`."""

_MANY: TypeAdapter[list[Thread]] = TypeAdapter(list[Thread])


BESIDE = "model.json"
"""What a thread that came from a folder has under this name stood in that file, beside the model and its parameters."""
_APART = {"id", "object", "created_at"}


def fields_of(thread: Thread) -> str:
    """What the column `fields` has of a thread."""
    return as_json(thread.model_dump(mode="json", exclude=_APART))


def fields_changed(before: str, changed: Thread, names: Set[str]) -> str:
    """What the column `fields` is to have of a thread after a change; what the API does not know of it stays.

    Args:
        before: what it has.
        changed: the thread as it is to be.
        names: of the fields that the change has.
    """
    return as_json(updated(from_json(before), changed, names - _APART))


def line(id: str, created_at: int, fields: str) -> bytes:
    """The line of a row, for copying."""
    return line_of(Thread, {"id": id, "created_at": created_at, **from_json(fields)})


def restoring(lines: Sequence[bytes]) -> list[tuple[Thread, str]]:
    """Threads that are to be stored, each with its `fields`.

    Raises:
        InvalidRequest: a line is no thread, or an id is there twice or cannot be one.
    """
    return [
        (one, as_json({name: value for name, value in values.items() if name not in _APART}))
        for one, values in objects_in(Thread, lines)
    ]


def settings_in(fields: str) -> dict[str, Any]:
    """What a thread sets of how a model answers."""
    values = from_json(fields)
    beside = values.get(BESIDE)
    instructions = beside.get("instructions") if isinstance(beside, dict) else None
    found = {**(values.get("parameters") or {}), "model": values.get("model"), "instructions": instructions}
    return {name: value for name, value in found.items() if value is not None}


def threads_of(rows: Iterable[Sequence[Any]]) -> list[Thread]:
    """The threads of rows that were read as `COLUMNS`."""
    # The fields always have metadata, so the object is never empty.
    texts = [f'{{"id":{quoted(id)},"created_at":{created},{fields[1:]}' for id, created, fields in rows]
    # What was copied from elsewhere may have fields that the API does not know.
    return _MANY.validate_json(f"[{','.join(texts)}]", extra="ignore")


def labels_of(thread: Thread) -> list[bytes]:
    """What a thread is found by."""
    pairs = [_pair(name, value) for name, value in thread.metadata.items()]
    return sorted({*pairs, *(_assistant(one.assistant_id) for one in thread.assistants or ())})


def labels_asked(query: ThreadsQuery) -> list[bytes]:
    """What the threads of a listing must have, all of it; what fewest threads have, as far as one can guess, first."""
    found = [_pair(name, value) for name, value in (query.metadata or {}).items()]
    return found if query.assistant_id is None else [*found, _assistant(query.assistant_id)]


def _pair(name: str, value: str) -> bytes:
    return _digest("metadata", name, value)


def _assistant(id: str) -> bytes:
    return _digest("assistant", id)


def _digest(*parts: str) -> bytes:
    return sha256(json.dumps(parts).encode()).digest()[:16]
