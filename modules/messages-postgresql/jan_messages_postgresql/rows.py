"""A message as a row of `jan.messages`, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from jan_postgresql.texts import as_json, storable
from pydantic import TypeAdapter

from jan_core.schemas.messages import Message
from jan_core.usual_lines import NAMES

COLUMNS = (
    "id, created_at, completed_at, incomplete_at, role, status, assistant_id, run_id, "
    "content::text, attachments::text, incomplete_details::text, metadata::text"
)
"""What is read of a row, in the order of `messages_of`. The JSON comes as text, and is parsed once, with the rest."""
STORED = (
    "id, created_at, completed_at, incomplete_at, role, status, assistant_id, run_id, "
    "content, attachments, incomplete_details, metadata"
)
"""What is written of a row, in the order of `values_of`."""
TYPES = (*("text", "bigint", "bigint", "bigint"), *["text"] * 4, *["json"] * 4)
"""The types of these columns."""
RESTORED = (*NAMES, "incomplete_details", "others")
"""What is written of a row that is copied: first what is found in the usual line, in the order in which it is there."""

_MANY: TypeAdapter[list[Message]] = TypeAdapter(list[Message])


def values_of(message: Message) -> list[Any]:
    """A message as the values of a row, without its thread and place.

    Raises:
        InvalidRequest: a text in a column of its own cannot be stored.
    """
    fields = message.model_dump(mode="json", include={"content", "attachments", "incomplete_details", "metadata"})
    return [
        message.id,
        message.created_at,
        message.completed_at,
        message.incomplete_at,
        message.role,
        message.status,
        storable(message.assistant_id, "assistant_id"),
        storable(message.run_id, "run_id"),
        as_json(fields["content"]),
        None if message.attachments is None else as_json(fields["attachments"]),
        None if message.incomplete_details is None else as_json(fields["incomplete_details"]),
        as_json(fields["metadata"]),
    ]


def messages_of(thread_id: str, rows: Iterable[Sequence[Any]]) -> list[Message]:
    """The messages of rows that were read as `COLUMNS`."""
    thread = quoted(thread_id)
    texts = [
        f'{{"id":{quoted(id)},"thread_id":{thread},"created_at":{created},"completed_at":{_number(completed)},'
        f'"incomplete_at":{_number(incomplete)},"role":{quoted(role)},"status":{quoted(status)},'
        f'"assistant_id":{_text(assistant)},"run_id":{_text(run)},"content":{content},'
        f'"attachments":{attachments or "null"},"incomplete_details":{details or "null"},"metadata":{metadata}}}'
        for (
            id, created, completed, incomplete, role, status,
            assistant, run, content, attachments, details, metadata,
        ) in rows
    ]  # fmt: skip
    # Parts of what was copied from elsewhere may have fields that the API does not know.
    return _MANY.validate_json(f"[{','.join(texts)}]", extra="ignore")


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)
