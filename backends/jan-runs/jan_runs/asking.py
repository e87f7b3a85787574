"""Asking the model: the chat stream of one answer, opened, with as many of the thread's messages as fit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from jan_core.errors import ContextLengthExceeded, EngineError, JanError, NotSupported
from jan_runs.fitting import PromptTooLong, room, shorter, within
from jan_runs.patience import patient
from jan_runs.prompt import Prompt, length, most_messages, newest_messages

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
    from jan_core.schemas.messages import Message
    from jan_core.schemas.runs import Run
    from jan_core.schemas.tools import AssistantFunctionTool
    from jan_runs.notes import Notes

ATTEMPTS = 16
"""How often a prompt that is too long is shortened, at most."""
AT_ONCE = 32
"""Runs of one model that ask for an answer at once: it has not begun, and their prompts are in memory. The others have
read nothing yet, so that they take little room however many they are; and the engine's queue has room for others."""
LONGEST_MEAN = 16
"""Characters that the tokens of a prompt have on average, at most. What is beyond would not fit, and is not read."""


REMEMBERED = 64 << 10
"""Characters of a conversation that is not read again for the next answer of a run, at most. A longer one would fill
the memory where many runs wait for their tools."""


@dataclass(eq=False)
class Conversation:
    """What was read for the answers of one run, as long as one process carries it on.

    No message can be added to the thread meanwhile but by the run itself, which knows what it said.

    Attributes:
        messages: those that the model may be shown; None where they are to be read.
        context: tokens that prompt and answer may have together, in a tuple; None where that is to be asked.
    """

    messages: list[Message] | None = None
    context: tuple[int | None] | None = None


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


async def readable(jan: Jan, run: Run) -> int | None:
    """How many characters of the thread the model of a run may be shown, at most.

    Args:
        jan: the running app.
        run: gives the model, and whether what does not fit is left out.

    Returns:
        The characters; None where nobody tells, the model cannot be asked about, or nothing is to be left out.
    """
    try:
        return _characters(await _context(jan, run))
    except JanError:
        return None


class Asking:
    """What asks the models for all runs of this process, so many at once for each model, first come, first served.

    Args:
        jan: the running app.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._lines: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def ask(
        self,
        run: Run,
        notes: Notes,
        limit: int | None,
        own: Sequence[AssistantFunctionTool] = (),
        read: Conversation | None = None,
    ) -> Asked:
        """Ask the model for the next answer of a run; returns with its first chunk.

        It waits for the model as long as that takes: to be cancelled is the caller's affair.

        Args:
            run: the run.
            notes: what is noted of it.
            limit: the most tokens that the answer may have; None for no limit of the run's.
            own: tools that are carried out here, besides the run's.
            read: what was read for the answers before; gets what is read for this one. Default: nothing.

        Raises:
            PromptTooLong: the newest messages have more tokens than the run may read.
            JanError: as `chat.create_stream`, and as `Prompt`; but a full queue is waited for.
        """
        async with self._lines.setdefault(run.model, asyncio.Semaphore(AT_ONCE)):
            context, messages = await self._read(run, notes, read or Conversation())
            prompt = Prompt(run, notes, messages, own)
            count = await self._fitting(run, notes, prompt, limit, context)
            for _ in range(ATTEMPTS):
                body = prompt.request(count, limit)
                try:
                    return await patient(lambda: self._open(body))  # noqa: B023 - awaited here
                except ContextLengthExceeded as error:
                    fewer = await self._fewer(run, prompt, count, limit, error)
                    if fewer >= count:
                        raise
                    count = fewer
        raise AssertionError("shortening a prompt ends with its least")

    async def _read(self, run: Run, notes: Notes, read: Conversation) -> tuple[int | None, list[Message]]:
        """The tokens of the context, and the messages that the model may be shown."""
        if read.context is None:
            read.context = (await _context(self._jan, run),)
        (context,) = read.context
        if read.messages is not None:
            return context, read.messages[-most_messages(run, notes) :]
        messages = await newest_messages(self._jan, run, notes, _characters(context))
        if sum(map(length, messages)) <= REMEMBERED:
            read.messages = messages
        return context, messages

    async def _fitting(self, run: Run, notes: Notes, prompt: Prompt, limit: int | None, context: int | None) -> int:
        """How many messages to show: no more than the run may read, and as leave the answer room in the context."""
        count, most = len(prompt), None
        if run.max_prompt_tokens is not None:
            most = run.max_prompt_tokens - notes.used.prompt_tokens
            if most <= 0:
                raise PromptTooLong
            count = await within(self._jan, prompt, count, most)
        if context is None or count <= prompt.least:
            return count
        left = room(context, limit or prompt.longest_answer)
        if (most is not None and most <= left) or prompt.surely_within(left):
            return count
        try:
            return await within(self._jan, prompt, count, left)
        except PromptTooLong:
            return prompt.least

    async def _fewer(
        self, run: Run, prompt: Prompt, count: int, limit: int | None, error: ContextLengthExceeded
    ) -> int:
        """How many messages to show instead of what did not fit; `count` where it cannot be fewer."""
        if run.truncation_strategy.type != "auto" or count <= prompt.least:
            return count
        if error.context is None:
            return shorter(prompt, count)
        try:
            found = await within(self._jan, prompt, count - 1, room(error.context, limit or prompt.longest_answer))
        except PromptTooLong:
            return prompt.least
        # What does not count tokens tells the number it was given.
        return found if found < count - 1 else shorter(prompt, count)

    async def _open(self, body: ChatCompletionRequest) -> Asked:
        """The stream of a request, with its first chunk."""
        chunks = self._jan.chat.create_stream(body)
        try:
            return Asked(await anext(chunks), chunks)
        except StopAsyncIteration:
            raise EngineError("The engine ended its answer before it began.", code="incomplete_answer") from None
        except BaseException:
            await _close(chunks)
            raise


async def _close(chunks: AsyncIterator[Any]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


async def _context(jan: Jan, run: Run) -> int | None:
    """Tokens that prompt and answer may have together; None where nobody tells, or it shortens nothing."""
    if run.truncation_strategy.type != "auto":
        return None
    from jan_core.schemas.chat import ChatCompletionRequest

    body = ChatCompletionRequest.model_validate({"model": run.model, "messages": [{"role": "user", "content": ""}]})
    try:
        return int(await jan.chat.context_length(body))
    except NotSupported:
        return None


def _characters(context: int | None) -> int | None:
    """Characters of the thread that may fit into a context."""
    return None if context is None else context * LONGEST_MEAN
