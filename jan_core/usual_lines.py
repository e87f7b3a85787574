"""Messages as nearly all of them are, as lines: a pattern tells them in a tenth of the time that checking takes.

What it matches is what `jan_core.lines.line_of` makes of some message: one text, at most one pair of metadata, no
attachments, no further fields. What it does not match is looked at as any object is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_TEXT = rb'"[^"\\\x00-\x1f]*(?:\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f]))[^"\\\x00-\x1f]*)*"'
"""A text as `pydantic_core.to_json` writes it; whether it is UTF-8 is not told."""
_TIME = rb"(?:0|[1-9][0-9]{0,10})"
_ID = rb'[^"\\\x00-\x1f]+'

_MESSAGE = re.compile(
    rb'^\{"id":"(?P<id>' + _ID + rb')","object":"thread\.message","created_at":(?P<created_at>' + _TIME + rb"),"
    rb'"thread_id":"(?P<thread_id>' + _ID + rb')","status":"(?P<status>completed|incomplete|in_progress)",'
    rb'"incomplete_details":null,"completed_at":(?:null|(?P<completed_at>' + _TIME + rb")),"
    rb'"incomplete_at":(?:null|(?P<incomplete_at>' + _TIME + rb')),"role":"(?P<role>user|assistant)",'
    rb'"content":(?P<content>\[\{"type":"text","text":\{"value":' + _TEXT + rb',"annotations":\[\]\}\}\]),'
    rb'"assistant_id":(?:null|"(?P<assistant_id>' + _ID + rb')"),"run_id":(?:null|"(?P<run_id>' + _ID + rb')"),'
    rb'"attachments":(?:null|(?P<attachments>\[\])),'
    rb'"metadata":(?P<metadata>\{(?:' + _TEXT + rb":" + _TEXT + rb")?\})\}$",
    re.MULTILINE,
)
NAMES = tuple(_MESSAGE.groupindex)
"""What is found in a line: fields of a message, in the order in which they stand there."""


def usual_messages(lines: Sequence[bytes]) -> list[tuple[bytes, ...]] | None:
    """What stands in lines, where all of them are usual ones.

    Returns:
        For each line the fields of `NAMES`, as JSON, and texts without their quotes; empty where a field is null. None
        where a line is otherwise.
    """
    return _found(b"\n".join(lines), len(lines))


@lru_cache(maxsize=8)  # what one store has looked at is looked at by the other next
def _found(text: bytes, count: int) -> list[tuple[bytes, ...]] | None:
    if text.count(b"\n") != count - 1:
        return None
    found = _MESSAGE.findall(text)
    if len(found) != count:
        return None
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return None
    return found
