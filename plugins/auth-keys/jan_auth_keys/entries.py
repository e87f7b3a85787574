"""The keys in the text of a `keys.toml`: what each says, and what is wrong with those that count for nothing.

Whatever is not understood of an entry makes that entry count for nothing: a key whose `expires` is misspelt must not
hold for ever.
"""

from __future__ import annotations

import math
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from hmac import compare_digest
from typing import Any

from jan_auth_keys.scopes import Scopes, read_scopes
from jan_auth_keys.token import ID, Token, digest_of

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
"""The form of a key's name: it stands in logs."""

_HASH = re.compile(r"[0-9a-f]{64}")
_FIELDS = ("id", "hash", "created", "expires", "allow")


class Unreadable(Exception):
    """The file says nothing that could be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept.

    Attributes:
        name: what people call it.
        id: the part of it that is no secret.
        digest: what is kept of the secret.
        scopes: what it may do; None for everything.
        created: when it was made, in Unix seconds; None where nothing says.
        expires: when it ends, in Unix seconds; infinite where it does not.
    """

    name: str
    id: bytes
    digest: bytes
    scopes: Scopes | None = None
    created: float | None = None
    expires: float = math.inf


_NOBODY = Key("", b"", secrets.token_bytes(32), expires=0)
_NO_SECRET = secrets.token_bytes(43)


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of a file.

    Attributes:
        by_id: the keys that count, expired ones too, in the order of the file.
        faults: a sentence for each entry that counts for nothing.
    """

    by_id: Mapping[bytes, Key]
    faults: tuple[str, ...] = ()
    _proven: dict[bytes, bytes] = field(default_factory=dict, repr=False, compare=False)

    def find(self, token: Token) -> Key | None:
        """The key that was presented; None where it is none of these. An unknown id costs what a known one does.

        What was hashed once and found right is compared as it is from then on: the hash would take longer than all
        else that is done with a key. That is forgotten with these keys, as soon as their file has changed.
        """
        key = self.by_id.get(token.id, _NOBODY)
        if compare_digest(token.secret, self._proven.get(token.id, _NO_SECRET)):
            return key
        if not compare_digest(digest_of(token), key.digest) or key is _NOBODY:
            return None
        self._proven[token.id] = token.secret
        return key


def read_keys(raw: bytes) -> Keys:
    """Understand the text of a file.

    Raises:
        Unreadable: it is no TOML in UTF-8, or `keys` is no table of tables.
    """
    try:
        data = tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not TOML: {error}") from None
    entries = data.pop("keys", {})
    if not isinstance(entries, dict):
        raise Unreadable("`keys` is no table: each key is a table of its own, such as [keys.laptop]")
    faults = [f"{name!r} stands beside the keys: a key is a table such as [keys.laptop]." for name in data]
    found: dict[bytes, Key] = {}
    twice = set()
    for name, entry in entries.items():
        try:
            key = _key(name, entry)
        except ValueError as error:
            faults.append(f"The key {name[:100]!r} counts for nothing: {error}.")
            continue
        if key.id in found:
            twice.add(key.id)
            faults.append(f"The keys {found[key.id].name!r} and {name!r} have one id: neither counts. Keep one.")
        found.setdefault(key.id, key)
    return Keys({id: key for id, key in found.items() if id not in twice}, tuple(faults))


def _key(name: str, entry: Any) -> Key:
    """One entry; raises `ValueError`, saying what is wrong."""
    if NAME.fullmatch(name) is None:
        raise ValueError("a name has letters, digits and . _ @ + -, up to 64 of them, and begins with one of the first")
    if not isinstance(entry, dict):
        raise ValueError(f"it is no table; write [keys.{name}]")
    for given in entry:
        if given not in _FIELDS:
            close = get_close_matches(given, _FIELDS, 1)
            hint = f", did you mean {close[0]!r}?" if close else f"; there are {', '.join(_FIELDS)}"
            raise ValueError(f"it has no field {given[:100]!r}{hint}")
    id = _text(entry, "id", ID, "the 12 letters and digits between `jan_` and the next `_`")
    digest = _text(entry, "hash", _HASH, "64 hexadecimal digits, as `jan keys add` wrote them")
    scopes = None
    if "allow" in entry:
        allow = entry["allow"]
        if not isinstance(allow, list) or not all(isinstance(one, str) for one in allow):
            raise ValueError('`allow` must be a list of texts, such as ["chat", "models:read"]')
        scopes = read_scopes(allow)
    expires = _moment(entry, "expires")
    return Key(
        name,
        id.encode(),
        bytes.fromhex(digest),
        scopes,
        _moment(entry, "created"),
        math.inf if expires is None else expires,
    )


def _text(entry: Mapping[str, Any], field: str, form: re.Pattern[str], what: str) -> str:
    value = entry.get(field)
    if not isinstance(value, str) or form.fullmatch(value) is None:
        raise ValueError(f"`{field}` must be {what}")
    return value


def _moment(entry: Mapping[str, Any], field: str) -> float | None:
    """A date or a time of the file in Unix seconds; where it has no zone it is UTC, and a date is its first moment."""
    value = entry.get(field)
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise ValueError(f"`{field}` must be a date or a time without quotes, such as 2027-01-31")
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
