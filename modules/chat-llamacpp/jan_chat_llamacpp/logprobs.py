"""How likely the tokens of an answer were, from the engine's words to ours."""

from __future__ import annotations

from math import isfinite
from typing import Any

HARDLY = -9999.0
"""Stands for the logarithm of no probability at all, as in OpenAI's API: JSON has no infinity."""


def token_logprobs(told: Any, top: int) -> list[dict[str, Any]]:
    """The tokens of one piece.

    Args:
        told: the engine's `logprobs` of a choice.
        top: how many alternatives were asked for.
    """
    return [
        {
            **_one(token),
            "top_logprobs": [_one(other) for other in (token.get("top_logprobs") or ())[:top]],
        }
        for token in (told or {}).get("content") or ()
    ]


def _one(token: dict[str, Any]) -> dict[str, Any]:
    value = token.get("logprob")
    known = isinstance(value, int | float) and isfinite(value)
    found = token.get("bytes")
    return {
        "token": token.get("token", ""),
        "logprob": max(float(value), HARDLY) if known else HARDLY,  # type: ignore[arg-type]
        "bytes": list(found) if found is not None else list(token.get("token", "").encode()),
    }
