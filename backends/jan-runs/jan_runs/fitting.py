"""How many of a thread's messages the model is shown: as many of the newest as fit."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from jan_core.errors import ContextLengthExceeded, NotSupported

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_runs.prompt import Prompt

ROUNDS = 16
"""How often tokens are counted for one answer, at most. Halving 2,048 messages takes eleven."""
SHARE = 4
"""A quarter of the context is left for the answer, where nothing says how long that may be."""


class PromptTooLong(Exception):
    """Not even the newest messages fit the run's `max_prompt_tokens`."""


async def within(jan: Jan, prompt: Prompt, count: int, most: int) -> int:
    """How many of the newest messages have `most` tokens at most, with all that goes with them.

    Args:
        jan: the running app, whose `chat` counts.
        prompt: the conversation.
        count: how many there are to choose from.
        most: tokens.

    Returns:
        The number; `count` where the chat module does not count tokens.

    Raises:
        PromptTooLong: those that are always shown have more.
    """
    least, tried = min(prompt.least, count), 0
    best: int | None = None
    low, high = least, count
    guess = count
    while low <= high and tried < ROUNDS:
        try:
            tokens = await jan.chat.count_tokens(prompt.request(guess, None))
        except NotSupported:
            return count
        except ContextLengthExceeded:
            tokens = most + 1
        tried += 1
        if tokens <= most:
            best, low = guess, guess + 1
        else:
            high = guess - 1
        guess = (low + high) // 2
    if best is None:
        raise PromptTooLong
    return best


def shorter(prompt: Prompt, count: int) -> int:
    """How many messages to show after so many did not fit: those that have half of their characters at most.

    Args:
        prompt: the conversation.
        count: how many did not fit.

    Returns:
        Fewer than `count`; `prompt.least` at the least, and `count` where no fewer may be shown.
    """
    if count <= prompt.least:
        return count
    newest = list(accumulate(reversed(prompt.sizes[len(prompt) - count :])))
    half = newest[-1] // 2
    fitting = sum(1 for characters in newest if characters <= half)
    return max(prompt.least, min(fitting, count - 1))
