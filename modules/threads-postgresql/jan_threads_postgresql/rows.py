"""A thread as a row of `jan.threads`, and back; and the labels that it is found by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from jan_postgresql.texts import as_json
from pydantic import TypeAdapter

from jan_core.schemas.threads import Thread, ThreadsQuery

COLUMNS = "id, created_at, fields::text"
"""What is read of a row, in the order of `threads_of`."""

_MANY: TypeAdapter[list[Thread]] = TypeAdapter(list[Thread])


def fields_of(thread: Thread) -> str:
    """What the column `fields` has of a thread."""
    return as_json(thread.model_dump(mode="json", exclude={"id", "object", "created_at"}))


def threads_of(rows: Iterable[Sequence[Any]]) -> list[Thread]:
    """The threads of rows that were read as `COLUMNS`."""
    # The fields always have metadata, so the object is never empty.
    texts = [f'{{"id":{quoted(id)},"created_at":{created},{fields[1:]}' for id, created, fields in rows]
    return _MANY.validate_json(f"[{','.join(texts)}]")


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
