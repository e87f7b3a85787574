"""Messages as elements of `messages.json`, and back.

An element is the message as the API gives it, and what the store keeps beside: whatever a person or another program
added, and `idempotency`, where the message was created under an `Idempotency-Key`:

    {"key": …, "fingerprint": …, "reply": …}

`reply` is the message as it was first answered; it is there once the message was changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from jan_core.folder.fields import steps_to
from jan_core.folder.views import Element, ListView
from jan_core.idempotency import Once
from jan_core.schemas.messages import Message

KEPT = "idempotency"
"""The field of an element that the API does not show."""

WITH_PARTS = ("content", "attachments", "incomplete_details")
"""Fields whose values have fields."""


def name_of_key(key: str) -> str:
    """The name under which the element that was created under a key is found. No id has a space."""
    return f"key {key}"


def names(values: dict[str, Any]) -> list[str]:
    """The names under which an element is found: its id, and its key."""
    id, kept = values.get("id"), values.get(KEPT)
    found = [id] if isinstance(id, str) else []
    if isinstance(kept, dict) and isinstance(key := kept.get("key"), str):
        found.append(name_of_key(key))
    return found


def element(message: Message, asked: Once | None = None) -> bytes:
    """A message as a new element.

    Args:
        message: the message.
        asked: the wish that it be created once.
    """
    raw = message.__pydantic_serializer__.to_json(message)
    if asked is None:
        return raw
    return raw[:-1] + b',"%b":' % KEPT.encode() + _dump({"key": asked.key, "fingerprint": asked.fingerprint}) + b"}"


def changed(raw: bytes, message: Message) -> bytes:
    """An element with another message; what is kept beside the message stays."""
    old = from_json(raw)
    kept = old.get(KEPT)
    if isinstance(kept, dict) and "reply" not in kept:
        first = {name: value for name, value in old.items() if name in Message.model_fields}
        old[KEPT] = {**kept, "reply": first}
    values = message.model_dump(mode="json")
    try:
        before = Message.model_validate({**old, "thread_id": message.thread_id}, extra="ignore").model_dump(mode="json")
    except ValidationError:
        before = {}
    for name in WITH_PARTS:
        if name in old and name in before and before[name] == values[name]:
            values[name] = old[name]  # with what somebody added inside
    return _dump({**old, **values})


def with_id(raw: bytes, id: str) -> bytes:
    """A copy of an element under an id of its own: it was not created under the key of what it is a copy of."""
    values = from_json(raw)
    values.pop(KEPT, None)
    return _dump({**values, "id": id})


def first_reply(raw: bytes, asked: Once) -> Message:
    """What was answered when the element was created.

    Raises:
        Conflict: it was created under the same key by another body.
        ValidationError: the element is damaged.
    """
    values = from_json(raw)
    kept = values[KEPT]
    asked.check(str(kept.get("fingerprint")))
    return Message.model_validate(kept.get("reply") or values, extra="ignore")


def kept_of(raw: bytes) -> tuple[Once, dict[str, Any]] | None:
    """Under which wish an element was created, and what was answered; None where there is no key, or it is damaged."""
    try:
        values = from_json(raw)
        kept = values[KEPT]
        asked = Once(str(kept["key"]), str(kept["fingerprint"]))
        return asked, first_reply(raw, asked).model_dump(mode="json")
    except (ValueError, LookupError, TypeError):
        return None


def message_of(raw: bytes, thread_id: str) -> Message:
    """The message of an element. It belongs to the thread in whose folder it lies, whatever it says itself.

    Raises:
        ValidationError: the element lacks what a message must have, or has something else there.
        ValueError: it is no JSON that the API could carry.
    """
    values = from_json(raw)
    if isinstance(values, dict):
        values["thread_id"] = thread_id
    return Message.model_validate(values, extra="ignore")


def messages_of(view: ListView, elements: Sequence[Element], thread_id: str) -> list[Message]:
    """The messages of elements; damaged ones are left out.

    Raises:
        Astray: see `ListView.check`.
    """
    found = messages_in(b",".join([one.raw for one in elements]), thread_id)
    if found is not None:
        return found
    return [one for one in (_one_of(view, element, thread_id) for element in elements) if one is not None]


def messages_in(text: bytes, thread_id: str) -> list[Message] | None:
    """The messages of a text of elements with `,` between them; None where one of them is damaged."""
    try:
        found = _several().validate_json(b"[%b]" % text, extra="ignore")
    except ValidationError:
        return None
    for one in found:
        if one.thread_id != thread_id:
            one.thread_id = thread_id
    return found


def fault_of(error: ValueError, raw: bytes) -> str:
    """What is wrong with an element, for a person: a part of a sentence.

    Args:
        error: what `message_of` or `first_reply` raised.
        raw: the element.
    """
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(steps_to(from_json(raw), first["loc"], missing=first["type"] == "missing")) or "the message"
        return f"{ascii(where)[1:-1][:100]}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return str(error)


def _one_of(view: ListView, element: Element, thread_id: str) -> Message | None:
    try:
        return message_of(element.raw, thread_id)
    except ValidationError:
        return None
    except ValueError:
        view.check(element)
        return None


@cache
def _several() -> TypeAdapter[list[Message]]:
    return TypeAdapter(list[Message])


def _dump(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
