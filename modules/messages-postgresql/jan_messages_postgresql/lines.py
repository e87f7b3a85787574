"""Lines for copying as rows of `jan.messages`, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from jan_postgresql.texts import as_json, storable
from pydantic import ValidationError
from pydantic_core import from_json

from jan_core.errors import InvalidRequest
from jan_core.folder.names import check_name
from jan_core.lines import Known, known_in, line_of, split
from jan_core.schemas.messages import Message
from jan_core.usual_lines import NAMES, usual_messages
from jan_messages_postgresql.rows import RESTORED, STORED, TYPES

BETWEEN, QUOTE = b"\x02", b"\x01"
"""Between two values of a row for COPY, and around what may hold anything. JSON has such characters as escapes."""
APART = b"\x1e"
"""Between two lines that are read at once."""
_NOTHING_ELSE = BETWEEN * (len(RESTORED) - len(NAMES)) + b"\n"
_JSON = {name for name, kind in zip(STORED.split(", "), TYPES, strict=True) if kind == "json"} | {"others"}
_SURE = re.compile("msg_[A-Za-z0-9_-]{1,100}")
"""Ids that `check_name` lets through."""


def restoring(thread_id: str, lines: Sequence[bytes]) -> tuple[bytes, list[str]]:
    """What `statements.RESTORE` is given to store lines, and their ids.

    Raises:
        InvalidRequest: a line is no message of this thread; or an id is there twice, or cannot be one.
    """
    known = known_in(Message, lines)
    ids, threads = _looked_at(lines) if known is None else known
    for id in ids:
        if _SURE.fullmatch(id) is None:
            check_name(id, param="lines")
    if threads - {thread_id} or len({*ids}) != len(lines):
        raise InvalidRequest(f"lines: one is not of the thread {thread_id!r}, or is there twice.", param="lines")
    rows = usual_messages(lines)
    if rows is not None:
        return b"".join([BETWEEN.join(row) + _NOTHING_ELSE for row in rows]), [*ids]
    return b"".join(map(_row, lines)), [*ids]


def lines_of(rows: Iterable[tuple[str, str]]) -> list[bytes]:
    """The lines of rows that were read as `statements.EXPORT` does."""
    found: list[bytes] = []
    for text, beside in rows:
        lines = text.encode().split(APART)
        if beside.strip(APART.decode()):
            pairs = zip(lines, beside.split(APART.decode()), strict=True)
            lines = [line_of(Message, {**from_json(line), **from_json(one)}) if one else line for line, one in pairs]
        found += lines
    return found


def _looked_at(lines: Sequence[bytes]) -> Known:
    try:
        messages = [Message.model_validate_json(one, extra="ignore") for one in lines]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the message"
        raise InvalidRequest(f"lines: one is no message: {where}: {first['msg']}", param="lines") from None
    return Known(tuple(one.id for one in messages), frozenset(one.thread_id for one in messages))


def _row(line: bytes) -> bytes:
    known, others = split(Message, line)
    for name in ("assistant_id", "run_id"):
        storable(known.get(name), name)
    values = known | {"others": others or None}
    return BETWEEN.join([_value(name, values.get(name)) for name in RESTORED]) + b"\n"


def _value(name: str, value: Any) -> bytes:
    if value is None:
        return b""
    text: bytes = (as_json(value) if name in _JSON else str(value)).encode()
    return QUOTE + text.replace(QUOTE, QUOTE * 2) + QUOTE
