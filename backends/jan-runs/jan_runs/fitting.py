"""How many of a thread's messages the model is shown: as many of the newest as fit."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

from jan_core.errors import ContextLengthExceeded, NotSupported
from jan_runs.patience import patient

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_runs.prompt import Prompt

ROUNDS = 16
"""How often tokens are counted for one answer, at most."""
GUESSES = 5
"""How many of these are guessed from those before; then what is left is halved, 2,048 messages in eleven rounds."""
SHARE = 4
"""A quarter of the context is left for the answer, where nothing says how long that may be."""
MARKS = 16
"""Characters that a message counts besides its own, for guesses: the template's marks around it."""
LIKELY = 4
"""Characters of a token, for the first guess where nothing was counted."""


class PromptTooLong(Exception):
    """Not even the newest messages fit the run's `max_prompt_tokens`."""


def room(context: int, longest: int | None) -> int:
    """How many tokens of a context the prompt may have, so that the answer has room.

    Args:
        context: tokens of both together.
        longest: the most tokens of the answer; None where nothing says it.
    """
    share = context // SHARE
    return context - (share if longest is None else min(longest, share))


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
        JanError: as `chat.count_tokens`; a full queue is waited for.
    """
    sizes = [0, *accumulate(size + MARKS for size in reversed(prompt.sizes))]
    low, high = min(prompt.least, count), count
    fits: int | None = None
    under: tuple[int, int] = (0, 0)  # characters and tokens of what fits
    over: tuple[int, int] | None = None  # and of what does not
    guess = count
    for number in range(ROUNDS):
        request = prompt.request(guess, None)
        try:
            tokens = await patient(lambda: jan.chat.count_tokens(request))  # noqa: B023 - awaited here
        except NotSupported:
            return count
        except ContextLengthExceeded:
            tokens = max(most + 1, sizes[guess] // LIKELY)
        if tokens <= most:
            fits, low, under = guess, guess + 1, (sizes[guess], tokens)
        else:
            high, over = guess - 1, (sizes[guess], tokens)
        if low > high:
            break
        guess = (low + high) // 2
        if over is not None and number < GUESSES:
            guess = min(high, max(low, bisect_right(sizes, _characters_of(most, under, over)) - 1))
    if fits is None:
        raise PromptTooLong
    return fits


def _characters_of(tokens: int, under: tuple[int, int], over: tuple[int, int]) -> float:
    """About how many characters have so many tokens, by what has no more and what has more."""
    return under[0] + (tokens - under[1]) * (over[0] - under[0]) / (over[1] - under[1])


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
