"""What a key looks like, how one is made, and what is kept of it.

A key is `jan_`, an id, `_`, and a secret of 256 random bits. The id finds the key's entry, and is no secret. Of the
secret only HMAC-SHA-256 is kept, keyed with the id. Nobody can try out 2^256 secrets, so nothing is gained by a hash
that is slow on purpose; it would only make a flood of wrong keys expensive for the server.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
from typing import NamedTuple

_LETTERS = string.ascii_letters + string.digits
_SMALL = string.ascii_lowercase + string.digits
_ID, _SECRET = 12, 43  # 62^43 is more than 2^256
_TOKEN = re.compile(rb"jan_([a-z0-9]{%d})_([A-Za-z0-9]{%d})" % (_ID, _SECRET))

ID = re.compile(rf"[a-z0-9]{{{_ID}}}")
"""The form of an id."""


class Token(NamedTuple):
    """A key as it was presented, in its two parts."""

    id: bytes
    secret: bytes


def new_token() -> Token:
    """Make a key that nobody has."""
    return Token(_random(_SMALL, _ID), _random(_LETTERS, _SECRET))


def written(token: Token) -> str:
    """A key as people are given it."""
    return f"jan_{token.id.decode()}_{token.secret.decode()}"


def read_token(text: bytes) -> Token | None:
    """Take a presented key apart; None where it has not the form of one."""
    match = _TOKEN.fullmatch(text)
    return Token(match[1], match[2]) if match is not None else None


def digest_of(token: Token) -> bytes:
    """What is kept of a key: 32 bytes."""
    return hmac.digest(token.id, token.secret, "sha256")


def _random(letters: str, length: int) -> bytes:
    return "".join(secrets.choice(letters) for _ in range(length)).encode()
