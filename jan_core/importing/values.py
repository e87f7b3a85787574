"""Times, names and metadata as foreign files have them, turned into what the API knows."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jan_core.folder.names import LONGEST_NAME, is_name
from jan_core.schemas.stored import MILLISECONDS

PAIRS, LONGEST_KEY, LONGEST_VALUE = 16, 64, 512
"""What `metadata` may hold, as the API says it."""


def seconds(*values: Any) -> int | None:
    """The first of some values that is a time, in whole Unix seconds; None where none is.

    A number over 10 ** 11 is milliseconds or less; a text is a date as ISO 8601 has it.
    """
    for value in values:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value).timestamp()
            except (ValueError, OverflowError):
                continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**20:
            continue
        while value > MILLISECONDS:
            value /= 1000
        return int(value)
    return None


def text(*values: Any) -> str | None:
    """The first of some values that is a text with something in it; None where none is."""
    return next((value for value in values if isinstance(value, str) and value.strip()), None)


def items(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; nothing where it is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def fields(value: Any) -> dict[str, Any]:
    """An object; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def pairs(value: Any, notes: list[str]) -> dict[str, str]:
    """`metadata` as the API has it: at most 16 pairs of texts.

    What is no text is written as JSON. What is null or empty says nothing and goes; what is too long or too much goes
    with a note.

    Args:
        value: what the file has.
        notes: told of what was left out.
    """
    found: dict[str, str] = {}
    for name, one in fields(value).items():
        if one is None or one in ("", [], {}):
            continue
        written = one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)
        if len(name) > LONGEST_KEY or len(written) > LONGEST_VALUE:
            notes.append(f"metadata.{name[:LONGEST_KEY]} was left out: it is longer than the API allows")
        elif len(found) == PAIRS:
            notes.append(f"metadata.{name} was left out: {PAIRS} pairs are the most")
        else:
            found[name] = written
    return found


def as_name(foreign: str, taken: Mapping[str, str] | None = None) -> str:
    """A name for a folder of the root, made of a foreign id; the id itself where it may be one.

    Args:
        foreign: the id.
        taken: names that are others' already, in lower case, to the ids they belong to.

    Returns:
        The same for the same id, whatever else is there, unless the name is taken: then with a checksum behind it.
    """
    plain = unicodedata.normalize("NFKD", foreign).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip(".-")[:LONGEST_NAME].rstrip(".-")
    checksum = hashlib.sha256(foreign.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    if is_name(foreign):
        name = foreign
    elif not is_name(name):
        name = f"imported-{checksum}"
    if (taken or {}).get(name.lower(), foreign) != foreign:
        name = f"{name[: LONGEST_NAME - 9]}-{checksum}"
    return name
