"""Which texts PostgreSQL can hold, and what is written as JSON."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from jan_core.errors import InvalidRequest


def is_storable(text: str) -> bool:
    """True where a column can hold a text: it has no NUL and no half of a character. No object has another id."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str | None, param: str) -> str | None:
    """A text that a column can hold.

    Raises:
        InvalidRequest: it cannot.
    """
    if text is not None and not is_storable(text):
        raise InvalidRequest(f"{param}: {text[:100]!a} has a NUL or half a character.", param=param)
    return text


def as_json(value: Any) -> str:
    """A value as JSON, for a column of the type `json`, which keeps every character, NUL as an escape.

    (`jsonb` would refuse a NUL, and order the fields.)
    """
    return to_json(value).decode()
