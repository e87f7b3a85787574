"""Completions, each time with one mistake in the scripted engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from jan_core import call
from jan_core.endpoints.completions import Completions
from jan_core.errors import JanError
from jan_core.hookspecs import hookimpl
from jan_core.schemas.completions import (
    Completion,
    CompletionChunk,
    CompletionRequest,
    CompletionUsage,
    DetokenizeRequest,
    Token,
    TokenizeRequest,
)
from jan_core.testing.scripted_completions import ScriptedCompletions
from tests.contract_bites.bites import caught_by
from tests.contract_bites.faults import InATask, LeftOpen


class Wrong(ScriptedCompletions):
    """The reference, as the plugin of itself; subclasses change single chunks."""

    @classmethod
    @hookimpl
    def provide_completions(cls, settings: Any, jan: Any) -> Completions:
        return cls(jan)

    def asked(self, body: CompletionRequest) -> CompletionRequest:
        return body

    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        return [chunk]

    def right(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        return super().create_stream(body)

    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        async with aclosing(super().create_stream(self.asked(body))) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                for one in self.changed(chunk):
                    yield one


def ends(chunk: CompletionChunk) -> bool:
    return any(choice.finish_reason for choice in chunk.choices)


def with_usage(chunk: CompletionChunk, read: int, wrote: int) -> CompletionChunk:
    if chunk.usage is None:
        return chunk
    read, wrote = chunk.usage.prompt_tokens + read, chunk.usage.completion_tokens + wrote
    usage = CompletionUsage(prompt_tokens=read, completion_tokens=wrote, total_tokens=read + wrote)
    return chunk.model_copy(update={"usage": usage})


@caught_by("completions", 1)
class IdOfAChat(Wrong):
    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        return [chunk.model_copy(update={"id": f"chat{chunk.id}"})]


@caught_by("completions", 1)
class AnotherType(Wrong):
    async def create(self, body: CompletionRequest) -> Completion:
        return (await super().create(body)).model_dump()  # type: ignore[return-value]


@caught_by("completions", 2)
class NeverEnds(Wrong):
    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        return [] if ends(chunk) else [chunk]


@caught_by("completions", 2)
class TextWithTheEnd(Wrong):
    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        if ends(chunk):
            chunk.choices[0].text = "!"
        return [chunk]


@caught_by("completions", 3)
class FirstPieceDropped(Wrong):
    async def create(self, body: CompletionRequest) -> Completion:
        return await ScriptedCompletions(self._jan).create(body)

    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        first = True
        async with aclosing(self.right(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if not first:
                    yield chunk
                first = False


@caught_by("completions", 4)
class UsageUnasked(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        from jan_core.folding_completions import streamed

        return streamed(body)


@caught_by("completions", 5)
class TheEndCountsAsAToken(Wrong):
    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        return [with_usage(chunk, 0, 1)]


@caught_by("completions", 6)
class IdsOfTheClock(Wrong):
    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        return [chunk.model_copy(update={"id": f"cmpl-{chunk.created}"})]


@caught_by("completions", 7)
class TheFirstPromptOnly(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        first: Any = body.prompt
        return body.model_copy(update={"prompt": first[0] if isinstance(first, list) else first})


@caught_by("completions", 7)
class ThePromptCountsForEachChoice(Wrong):
    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        async with aclosing(self.right(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield with_usage(chunk, (body.n or 1) - 1, 0)


@caught_by("completions", 8)
class NoLimit(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        return body.model_copy(update={"max_tokens": None})


@caught_by("completions", 8)
class AlwaysStop(Wrong):
    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        for choice in chunk.choices:
            choice.finish_reason = "stop" if choice.finish_reason else None
        return [chunk]


@caught_by("completions", 9)
class StopIgnored(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        return body.model_copy(update={"stop": None})


@caught_by("completions", 9)
class TheFirstStopStringOnly(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        return body.model_copy(update={"stop": body.stop[:1] if isinstance(body.stop, list) else body.stop})


@caught_by("completions", 10)
class EchoIgnored(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        return body.model_copy(update={"echo": None})


@caught_by("completions", 10)
class EchoCounts(Wrong):
    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        async with aclosing(self.right(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                yield with_usage(chunk, 0, 1) if body.echo else chunk


@caught_by("completions", 11)
class TokensAreTexts(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        given: Any = body.prompt
        if isinstance(given, list) and isinstance(given[0], int):
            return body.model_copy(update={"prompt": [str(one) for one in given]})
        return body


@caught_by("completions", 12)
class NothingBreaksIt(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        assert body.prompt
        return body


@caught_by("completions", 12)
class BytesOfCharacters(Wrong):
    def changed(self, chunk: CompletionChunk) -> list[CompletionChunk]:
        for choice in chunk.choices:
            raw = choice.text.encode()
            choice.text = raw[:2].decode(errors="replace") + raw[2:].decode(errors="replace")
        return [chunk]


@caught_by("completions", 13)
class TheRequestIsChanged(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        body.user = "somebody"
        return body


@caught_by("completions", 14)
class PromptsCut(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        return body.model_copy(update={"prompt": body.prompt[:100] if isinstance(body.prompt, str) else body.prompt})


@caught_by("completions", 14)
class RefusedInTheStream(Wrong):
    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        choice = {"index": 0, "text": "", "logprobs": None, "finish_reason": None}
        yield CompletionChunk.model_validate({"id": "cmpl-1", "created": 1, "model": body.model, "choices": [choice]})
        async for chunk in self.right(body):
            yield chunk


@caught_by("completions", 15)
class LogprobsIgnored(Wrong):
    def asked(self, body: CompletionRequest) -> CompletionRequest:
        return body.model_copy(update={"logprobs": None})


@caught_by("completions", 15)
class RefusedWithoutAName(Wrong):
    async def create(self, body: CompletionRequest) -> Completion:
        try:
            return await super().create(body)
        except JanError as error:
            error.param = None
            raise


@caught_by("completions", 16)
class GoesOnAfterClosing(InATask, Wrong):
    pass


@caught_by("completions", 16)
class LeakedGenerator(LeftOpen, Wrong):
    pass


@caught_by("completions", 17)
class GoesOnAfterCancel(InATask, Wrong):
    pass


@caught_by("completions", 18)
class GoesOnWhenTheClientLeft(InATask, Wrong):
    pass


@caught_by("completions", 19)
class Mixed(Wrong):
    """What belongs to a stream is kept with the module."""

    latest = ""

    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        async for chunk in self.right(body):
            if chunk.choices and chunk.choices[0].text:
                self.latest = chunk.choices[0].text
                await asyncio.sleep(0)
                chunk.choices[0].text = self.latest
            yield chunk


@caught_by("completions", 20)
class TheCallIsNotTold(Wrong):
    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        async for chunk in self.right(body):
            yield chunk
        context = call.current()
        if context is not None:
            context.completion_tokens = None


@caught_by("completions", 21)
class TheFirstPromptIsCounted(Wrong):
    async def count_tokens(self, body: CompletionRequest) -> int:
        return 1


@caught_by("completions", 22)
class BytesOfLettersOnly(Wrong):
    async def tokenize(self, body: TokenizeRequest) -> list[Token]:
        return [one for one in await super().tokenize(body) if one.id < 128]


@caught_by("completions", 22)
class ATokenOfNothing(Wrong):
    async def tokenize(self, body: TokenizeRequest) -> list[Token]:
        return await super().tokenize(body) or [Token(id=0, text="", bytes=[])]


@caught_by("completions", 23)
class UnknownTokensLeftOut(Wrong):
    async def detokenize(self, body: DetokenizeRequest) -> str:
        return await super().detokenize(body.model_copy(update={"tokens": [one for one in body.tokens if one < 256]}))


@caught_by("completions", 23)
class BytesOneByOne(Wrong):
    async def detokenize(self, body: DetokenizeRequest) -> str:
        await super().detokenize(body)
        return "".join(chr(one) for one in body.tokens)
