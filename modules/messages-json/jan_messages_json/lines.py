"""Messages of a file as lines for copying, and lines as elements of a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from pydantic_core import from_json

from jan_core.errors import InvalidRequest
from jan_core.folder.names import check_name
from jan_core.folder.views import Element, ListView
from jan_core.lines import known_in, line_of
from jan_core.schemas.messages import Message
from jan_messages_json.stored import KEPT


def exported(view: ListView, thread_id: str, after: str | None, limit: int) -> list[bytes]:
    """The lines of the messages behind one; see `Messages.export`. Of several of one id the first counts.

    Raises:
        InvalidRequest: `after` names no message.
        Astray: see `ListView`.
    """
    if after is not None and _is_last(view, after):
        return []
    begin = None if after is None else view.find(after)
    if after is not None and begin is None:
        raise InvalidRequest(f"after: there is no message {after[:200]!a} in the thread {thread_id!r}.", param="after")
    elements = view.oldest_first(begin)
    found: list[bytes] = []
    seen: set[str] = set()
    while len(found) < limit:
        some = list(islice(elements, limit - len(found)))
        if not some:
            break
        raws = [one.raw for one in some]
        known = known_in(Message, raws)
        if known is not None and known.threads <= {thread_id}:
            lines = list(zip(known.ids, raws, some, strict=True))
        else:
            lines = [(*line, one) for one in some if (line := _line(one.raw, thread_id)) is not None]
        for id, raw, one in lines:
            if id not in seen and not _is_later(view, id, one, begin):
                seen.add(id)
                found.append(raw)
    return found


def checked(thread_id: str, lines: Sequence[bytes]) -> list[str]:
    """The ids of lines that are to be stored in a thread.

    Raises:
        InvalidRequest: a line is no message of this thread; or an id is there twice, or cannot be one.
    """
    known = known_in(Message, lines)
    if known is not None:
        ids = list(known.ids)
        ok = known.threads <= {thread_id}
    else:
        found = [_line(one, thread_id) for one in lines]
        ids = [one[0] for one in found if one is not None]
        ok = [None if one is None else one[1] for one in found] == list(lines)
    if not ok or len({*ids}) != len(lines):
        raise InvalidRequest(f"lines: one is no message of the thread {thread_id!r}, or is there twice.", param="lines")
    for id in ids:
        check_name(id, param="lines")
    return ids


def _line(raw: bytes, thread_id: str) -> tuple[str, bytes] | None:
    """The id and the line of an element; None where it is damaged."""
    try:
        values = from_json(raw)
        if not isinstance(values, dict):
            return None
        values.pop(KEPT, None)
        return values["id"], line_of(Message, {**values, "thread_id": thread_id})
    except (ValueError, LookupError):
        return None


def _is_last(view: ListView, after: str) -> bool:
    """Whether nothing stands behind a message; seen without the names of all others, which take a while to be read."""
    newest = next(view.newest_first(), None)
    if newest is None or not _has_id(newest.raw, after):
        return False
    text = after.encode()
    first = (one.place for one in view.oldest_first(holding=(text,)) if text in one.raw and _has_id(one.raw, after))
    return next(first, None) == newest.place


def _has_id(raw: bytes, id: str) -> bool:
    try:
        values = from_json(raw)
    except ValueError:
        return False
    return isinstance(values, dict) and values.get("id") == id


def _is_later(view: ListView, id: str, element: Element, begin: Element | None) -> bool:
    """True where another element of the same id stands before this one."""
    if begin is None or not view.is_doubled(id):
        return False
    first = view.find(id)
    return first is not None and first.place != element.place
