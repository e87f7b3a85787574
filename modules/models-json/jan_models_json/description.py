"""`model.json`: what a person says of a model. Every field is optional; fields that are not known are left alone."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

LARGEST = 1 << 20
"""Bytes of a `model.json`, at most."""
_LATEST_SECOND = 10**11


class BadDescription(Exception):
    """The file is no description of a model; the text names the file, and line and column where JSON is at fault."""


@dataclass(frozen=True, slots=True)
class Description:
    """The fields that are used here.

    Attributes:
        created: Unix seconds.
        first: the name of the file, in the same folder, that the folder's id stands for.
    """

    created: int | None = None
    owned_by: str | None = None
    engine: str | None = None
    first: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


def read_description(path: str) -> tuple[Description, str]:
    """Read a `model.json`. Blocks; call it in a thread.

    Returns:
        The description, and a digest of the file's bytes.

    Raises:
        BadDescription: it is damaged, or a field has a wrong type.
        OSError: it cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            raise BadDescription(f"{path} has more than {LARGEST} bytes.")
        content = file.read(LARGEST)
    return _check(path, _parse(path, content)), hashlib.blake2b(content, digest_size=12).hexdigest()


def _parse(path: str, content: bytes) -> dict[str, Any]:
    try:
        text = content.decode("utf-8-sig")
        found = json.loads(text)
        # What Python reads but JSON does not have (NaN, halves of characters) would break a reply later.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except json.JSONDecodeError as error:
        raise BadDescription(f"{path}, line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise BadDescription(f"{path}, line {line}, column {column}: not UTF-8.") from None
    except RecursionError:
        raise BadDescription(f"{path} is nested too deeply.") from None
    except ValueError as error:
        raise BadDescription(f"{path} holds a value that JSON does not allow: {str(error)[:100]!a}.") from None
    if not isinstance(found, dict):
        raise BadDescription(f"{path} holds a {type(found).__name__} where an object {{…}} belongs.")
    return found


def _check(path: str, found: dict[str, Any]) -> Description:
    def of_type(name: str, kind: type, words: str) -> Any:
        value = found.get(name)
        if value is not None and not isinstance(value, kind):
            raise BadDescription(f"{path}: `{name}` is {_show(value)}, it must be {words}.")
        return value

    return Description(
        created=_seconds(path, found.get("created")),
        owned_by=of_type("owned_by", str, "a string") or None,
        engine=of_type("engine", str, "a string") or None,
        first=_first_source(path, of_type("source", list, "a list of objects")),
        settings=of_type("settings", dict, "an object") or {},
        parameters=of_type("parameters", dict, "an object") or {},
        metadata=of_type("metadata", dict, "an object") or {},
    )


def _seconds(path: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadDescription(f"{path}: `created` is {_show(value)}, it must be a time in Unix seconds.")
    seconds = int(value)
    # The Jan app wrote milliseconds. Some tools write still smaller parts.
    while seconds > _LATEST_SECOND:
        seconds //= 1000
    return seconds


def _first_source(path: str, sources: list[Any] | None) -> str | None:
    if not sources:
        return None
    first = sources[0]
    name = first.get("filename") if isinstance(first, dict) else first
    if not isinstance(name, str | None) or not isinstance(first, dict):
        raise BadDescription(f"{path}: `source[0].filename` must be the name of a file beside it.")
    return name or None


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:60] + "…"
