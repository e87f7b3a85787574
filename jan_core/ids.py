"""Ids that the server makes, and the times that go with them."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def new_id(prefix: str, length: int = 24) -> str:
    """`prefix` followed by `length` characters from a cryptographic source: `new_id("msg_")`, `new_id("chatcmpl-")`."""
    number = int.from_bytes(secrets.token_bytes(length))
    characters = []
    for _ in range(length):
        number, index = divmod(number, 62)
        characters.append(_ALPHABET[index])
    return prefix + "".join(characters)


def now() -> int:
    """The time in whole Unix seconds, as every object carries it."""
    return int(time.time())
