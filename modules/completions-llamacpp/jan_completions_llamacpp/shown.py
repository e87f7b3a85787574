"""Tokens as a person is shown them."""

from __future__ import annotations

from typing import Any

from jan_core.schemas.completions import Token


def shown(told: dict[str, Any]) -> Token:
    """A token of a text.

    Args:
        told: as llama.cpp's server tells it: `id`, and `piece`, a string, or a list of bytes that are no whole text.
    """
    piece = told["piece"]
    raw = piece.encode() if isinstance(piece, str) else bytes(piece)
    return Token(id=told["id"], text=raw.decode("utf-8", "replace"), bytes=[*raw])
