"""What chat and text answers of other servers have in common: what is taken of them, and how it is brought to order.

Fields that Jan's schemas do not have stay outside; those that the API requires and a server left out are filled in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.errors import EngineError
from jan_core.schemas.common import CompletionUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST = -9999.0
"""The logarithm of a probability that is hardly one: JSON has no infinity."""


def bad(what: str) -> EngineError:
    """The error for an answer that is none."""
    return EngineError(f"An upstream answered with {what}; ask again.", code="upstream_failed")


def text_of(value: Any, what: str) -> str | None:
    """A text, or None; empty ones are None too.

    Raises:
        EngineError: it is neither.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise bad(f"a {what} that is no text")
    return value


def count_of(value: Any) -> int | None:
    """A number of tokens; None where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def choices_of(piece: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The choices of a piece.

    Raises:
        EngineError: it has none, or something else there.
    """
    found = piece.get("choices")
    if found is None and piece.get("usage") is not None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise bad("an event that is no piece of an answer")
    return found


def check_alone(choice: Mapping[str, Any]) -> None:
    """Raise where a choice is of another answer than the one that was asked for.

    Raises:
        EngineError: it is.
    """
    if choice.get("index") not in (None, 0):
        raise bad("a choice that nobody asked for")


def usage_of(piece: Mapping[str, Any]) -> CompletionUsage | None:
    """What a piece tells of tokens; None where that is nothing, or does not add up to anything."""
    told = piece.get("usage")
    if not isinstance(told, dict):
        return None
    read, written = count_of(told.get("prompt_tokens")), count_of(told.get("completion_tokens", 0))
    if read is None or written is None:
        return None
    details: dict[str, Any] = {}
    for name, kinds in (
        ("prompt_tokens_details", ("cached_tokens", "audio_tokens")),
        ("completion_tokens_details", ("reasoning_tokens", "audio_tokens")),
    ):
        given = told.get(name)
        known = (
            {kind: one for kind in kinds if (one := count_of(given.get(kind))) is not None}
            if isinstance(given, dict)
            else {}
        )
        if known:
            details[name] = known
    return CompletionUsage.model_validate(
        {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **details}
    )


class Counted:
    """The tokens of a request whose answers were asked for one by one, told to whoever measures as they come."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[int, CompletionUsage]] = {}

    def add(self, piece: Mapping[str, Any], index: int, prompt: int = 0) -> None:
        """Take what a piece tells of answer number `index`, which is one to prompt number `prompt`."""
        usage = usage_of(piece)
        if usage is None:
            return
        self._told[index] = (prompt, usage)
        context, added = call.current(), self.usage()
        if context is not None and added is not None:
            context.prompt_tokens, context.completion_tokens = added.prompt_tokens, added.completion_tokens

    def usage(self) -> CompletionUsage | None:
        """All of it: each prompt counts once, what was written adds up; None where no server told."""
        if len(self._told) < 2:
            return next((usage for _, usage in self._told.values()), None)
        read = sum({prompt: usage.prompt_tokens for prompt, usage in self._told.values()}.values())
        written = sum(usage.completion_tokens for _, usage in self._told.values())
        return CompletionUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


def logarithm(value: Any) -> float:
    """A logarithm of a probability as JSON can carry it."""
    return max(LEAST, float(value)) if isinstance(value, int | float) and value == value else LEAST
