"""Lines for copying as rows of `jan.messages`, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jan_postgresql.texts import as_json, storable
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from jan_core.errors import InvalidRequest
from jan_core.folder.names import check_name
from jan_core.lines import Known, known_in, line_of, split
from jan_core.schemas.messages import Message
from jan_messages_postgresql import statements
from jan_messages_postgresql.rows import STORED, TYPES

NUL = b"\\u0000"
"""What PostgreSQL keeps as it is, and cannot take apart."""


def restoring(thread_id: str, lines: Sequence[bytes]) -> tuple[str, list[Any]]:
    """The statement that stores lines, and its values.

    Raises:
        InvalidRequest: a line is no message of this thread; or an id is there twice, or cannot be one.
    """
    known = known_in(Message, lines)
    has_nul = any(NUL in one for one in lines)
    ids, threads = _looked_at(lines) if known is None or has_nul else known
    for id in ids:
        check_name(id, param="lines")
    if threads - {thread_id} or len({*ids}) != len(lines):
        raise InvalidRequest(f"lines: one is not of the thread {thread_id!r}, or is there twice.", param="lines")
    if has_nul:
        columns = zip(*map(_columns, lines), strict=True)
        return statements.RESTORE_COLUMNS, [thread_id, *map(list, columns), thread_id]
    if known is None:
        lines = [_with_others(one) for one in lines]
    return statements.RESTORE, [thread_id, (b"[%b]" % b",".join(lines)).decode(), thread_id]


def lines_of(thread_id: str, rows: Iterable[Sequence[Any]]) -> list[bytes]:
    """The lines of rows that were read as `EXPORT` does."""
    thread = _quoted(thread_id)
    found = []
    for (
        id, created, completed, incomplete, role, status,
        assistant, run, content, attachments, details, metadata, others,
    ) in rows:  # fmt: skip
        line = (
            f'{{"id":{_quoted(id)},"object":"thread.message","created_at":{created},"thread_id":{thread},'
            f'"status":"{status}","incomplete_details":{details or "null"},'
            f'"completed_at":{"null" if completed is None else completed},'
            f'"incomplete_at":{"null" if incomplete is None else incomplete},"role":"{role}","content":{content},'
            f'"assistant_id":{"null" if assistant is None else _quoted(assistant)},'
            f'"run_id":{"null" if run is None else _quoted(run)},'
            f'"attachments":{attachments or "null"},"metadata":{metadata}}}'
        ).encode()
        found.append(line if others is None else line_of(Message, {**from_json(line), **from_json(others)}))
    return found


def _looked_at(lines: Sequence[bytes]) -> Known:
    try:
        messages = [Message.model_validate_json(one, extra="ignore") for one in lines]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the message"
        raise InvalidRequest(f"lines: one is no message: {where}: {first['msg']}", param="lines") from None
    for one in messages:
        storable(one.assistant_id, "assistant_id")
        storable(one.run_id, "run_id")
    return Known(tuple(one.id for one in messages), frozenset(one.thread_id for one in messages))


def _columns(line: bytes) -> list[Any]:
    known, others = split(Message, line)
    values = []
    for name, kind in zip(STORED.split(", "), TYPES, strict=True):
        value = known.get(name)
        values.append(as_json(value) if kind == "json" and value is not None else value)
    return [*values, as_json(others) if others else None]


def _with_others(line: bytes) -> bytes:
    known, others = split(Message, line)
    return to_json({**known, "others": others or None})


def _quoted(text: str) -> str:
    # As the other fields are written: what is not ASCII stands as it is.
    return to_json(text).decode()
