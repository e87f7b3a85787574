"""Asking the model: the chat stream of one answer, opened, with as many of the thread's messages as fit."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from jan_core.errors import Busy, ContextLengthExceeded, EngineError
from jan_core.ids import now
from jan_runs.fitting import SHARE, PromptTooLong, shorter, within
from jan_runs.prompt import Prompt, newest_messages

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionChunk
    from jan_core.schemas.runs import Run
    from jan_core.schemas.tools import AssistantFunctionTool
    from jan_runs.notes import Notes

RETRIES = 5
"""How often a full queue is asked again, at most."""
FIRST_PAUSE = 0.2
"""Seconds before the first of these; twice as long before each further one."""
LONGEST_PAUSE = 5.0
"""Seconds before one of these, at most."""
ATTEMPTS = 16
"""How often a prompt that is too long is shortened, at most."""


class Asked:
    """A chat stream that has begun.

    Attributes:
        first: its first chunk.
        rest: the others; closed by whoever has it (`close`).
    """

    def __init__(self, first: ChatCompletionChunk, rest: AsyncIterator[ChatCompletionChunk]) -> None:
        self.first = first
        self.rest = rest

    async def close(self) -> None:
        """End the stream, and with it the generation."""
        await _close(self.rest)


async def ask(jan: Jan, run: Run, notes: Notes, limit: int | None, own: Sequence[AssistantFunctionTool] = ()) -> Asked:
    """Ask the model for the next answer of a run; returns with its first chunk.

    Args:
        jan: the running app.
        run: the run.
        notes: what is noted of it.
        limit: the most tokens that the answer may have; None for no limit of the run's.
        own: tools that are carried out here, besides the run's.

    Raises:
        PromptTooLong: the newest messages have more tokens than the run may read.
        Busy: the queue stayed full.
        JanError: as `chat.create_stream`, and as `Prompt`.
    """
    prompt = Prompt(run, notes, await newest_messages(jan, run, notes), own)
    count = len(prompt)
    if run.max_prompt_tokens is not None:
        left = run.max_prompt_tokens - notes.used.prompt_tokens
        if left <= 0:
            raise PromptTooLong
        count = await within(jan, prompt, count, left)
    for _ in range(ATTEMPTS):
        try:
            return await _open(jan, run, prompt.request(count, limit))
        except ContextLengthExceeded as error:
            fewer = await _fewer(jan, run, prompt, count, limit, error)
            if fewer >= count:
                raise
            count = fewer
    raise AssertionError("shortening a prompt ends with its least")


async def _fewer(
    jan: Jan, run: Run, prompt: Prompt, count: int, limit: int | None, error: ContextLengthExceeded
) -> int:
    """How many messages to show instead; `count` where it cannot be fewer."""
    if run.truncation_strategy.type != "auto" or count <= prompt.least:
        return count
    if error.context is None:
        return shorter(prompt, count)
    room = error.context - min(limit or error.context, error.context // SHARE)
    try:
        found = await within(jan, prompt, count - 1, room)
    except PromptTooLong:
        return prompt.least
    # What does not count tokens tells the number it was given.
    return found if found < count - 1 else shorter(prompt, count)


async def _open(jan: Jan, run: Run, body: Any) -> Asked:
    """The stream of a request, as soon as the engine has room for it."""
    pause = FIRST_PAUSE
    for left in range(RETRIES, -1, -1):
        chunks = jan.chat.create_stream(body)
        try:
            return Asked(await anext(chunks), chunks)
        except StopAsyncIteration:
            raise EngineError("The engine ended its answer before it began.", code="incomplete_answer") from None
        except Busy:
            await _close(chunks)
            if not left or (run.expires_at is not None and now() + pause >= run.expires_at):
                raise
        except BaseException:
            await _close(chunks)
            raise
        # Not all at the same moment: those who were refused together would be refused together again.
        await asyncio.sleep(pause * random.uniform(0.75, 1.25))
        pause = min(2 * pause, LONGEST_PAUSE)
    raise AssertionError("the last attempt raises")


async def _close(chunks: AsyncIterator[Any]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()
