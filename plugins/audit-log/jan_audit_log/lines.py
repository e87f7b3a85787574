"""The lines of the log, as JSON. They hold names, ids and numbers, never what somebody wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted

LONGEST = 256
"""Characters of an id or a name that a client chose; what follows is cut off."""

_second: tuple[int, str] = (0, "")


def begun(operation: str, request_id: str | None, key_name: str | None, ids: Mapping[str, str]) -> bytes:
    """The line of a change that is about to be made. Arguments as for `ended`."""
    return (
        f'{{"time": "{_now()}", "event": "begun", "request_id": {_text(request_id)}, "key_name": {_text(key_name)}, '
        f'"operation": {operation}, "ids": {{{_named(ids)}}}}}\n'
    ).encode()


def ended(
    operation: str,
    request_id: str | None,
    key_name: str | None,
    ids: Mapping[str, str],
    made: str | None,
    model: str | None,
    status: int,
    error: str | None,
    seconds: float,
) -> bytes:
    """The line of a change that was made, or failed.

    Args:
        operation: endpoint and operation, as JSON.
        request_id: the request that asked for it; None for a command, or a program that uses Jan as a library.
        key_name: the key that it came with; None without one.
        ids: what the path names: parameter to value.
        made: the id of the object that the reply tells.
        model: the model that the request names.
        status: the HTTP status, 499 where the client went away.
        error: the error's code.
        seconds: how long it took.
    """
    # One expression: a line is written for every change, and each call in between costs more than the text it makes.
    named = _named(ids) if ids else ""
    return (
        f'{{"time": "{_now()}", "event": "ended", '
        f'"request_id": {"null" if request_id is None else quoted(request_id[:LONGEST])}, '
        f'"key_name": {"null" if key_name is None else quoted(key_name[:LONGEST])}, '
        f'"operation": {operation}, "ids": {{{named}}}, '
        f'"object": {"null" if made is None else quoted(made[:LONGEST])}, '
        f'"model": {"null" if model is None else quoted(model[:LONGEST])}, "status": {status}, '
        f'"error": {"null" if error is None else quoted(error[:LONGEST])}, "ms": {seconds * 1000:.2f}}}\n'
    ).encode()


def lost_line(count: int) -> bytes:
    """The line that says how many lines before it could not be written."""
    return (json.dumps({"time": _now(), "event": "lost", "lines": count}) + "\n").encode()


def _named(ids: Mapping[str, str]) -> str:
    return ", ".join([f"{quoted(name)}: {_text(value)}" for name, value in ids.items()])


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value[:LONGEST])


def _now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond; the text of a second is made once."""
    global _second
    now = time.time()
    whole = int(now)
    if _second[0] != whole:
        _second = (whole, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)))
    return f"{_second[1]}.{int((now - whole) * 1000):03d}Z"
