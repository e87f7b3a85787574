"""Which upstream a conversation goes to: the same one each time, for the prompt that it has in its memory.

Source of the algorithm: rendezvous hashing with weights (Schindelhauer and Schomaker, 2005): each server's number is
drawn from a hash of its name and the conversation, and the largest wins. Where a server goes, only its conversations
move, and they are spread over all others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

BEGINNING = 4096
"""Characters of a text without turns by which it is known again."""


def ordered(key: bytes, weights: Mapping[str, float]) -> list[str]:
    """The names of servers, the one that a key belongs to first.

    Args:
        key: what stays the same as long as the conversation does.
        weights: each server's share, by name.
    """
    return sorted(weights, key=lambda name: _number(key, name, weights[name]), reverse=True)


def _number(key: bytes, name: str, weight: float) -> float:
    drawn = int.from_bytes(hashlib.blake2b(name.encode() + b"\0" + key, digest_size=8).digest(), "big")
    return -weight / math.log((drawn + 0.5) / 2**64)


def of_messages(model: str, messages: Sequence[Any]) -> bytes:
    """The key of a conversation: its model, and all up to the user's first message, which later turns begin with too.

    Args:
        model: the model's id.
        messages: the messages as JSON has them, oldest first.
    """
    digest = hashlib.blake2b(model.encode(), digest_size=16)
    for one in messages:
        digest.update(repr(one).encode("utf-8", "surrogatepass"))
        if one.get("role") == "user":
            break
    return digest.digest()


def of_text(model: str, prompt: Any) -> bytes:
    """The key of a text: its model, and its beginning.

    Args:
        model: the model's id.
        prompt: the text, or the texts.
    """
    text = prompt if isinstance(prompt, str) else repr(prompt)
    return hashlib.blake2b(f"{model}\0{text[:BEGINNING]}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
