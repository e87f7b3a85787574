"""Chats, each time with one mistake in the scripted engine."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from jan_core.endpoints.chat import Chat
from jan_core.hookspecs import hookimpl
from jan_core.schemas.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, CompletionUsage
from jan_core.testing.scripted import ScriptedChat
from tests.contract_bites.bites import caught_by


class Wrong(ScriptedChat):
    """The reference, as the plugin of itself; subclasses change single chunks."""

    @classmethod
    @hookimpl
    def provide_chat(cls, settings: Any, jan: Any) -> Chat:
        return cls(jan)

    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body

    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        return [chunk]

    def right(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        return super().create_stream(body)

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        number = 0
        async with contextlib.aclosing(super().create_stream(self.asked(body))) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                for one in self.changed(number, chunk):
                    yield one
                number += 1


class WrongReply(Wrong):
    """Changes the plain answer."""

    def reply(self, made: ChatCompletion) -> ChatCompletion:
        return made

    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        return self.reply(await super().create(body))


def text_of(chunk: ChatCompletionChunk) -> str:
    return "".join(choice.delta.content or "" for choice in chunk.choices)


def ends(chunk: ChatCompletionChunk) -> bool:
    return any(choice.finish_reason for choice in chunk.choices)


def with_text(chunk: ChatCompletionChunk, text: str) -> ChatCompletionChunk:
    made = chunk.model_copy(deep=True)
    for choice in made.choices:
        choice.delta.content = text
    return made


@caught_by("chat", 1)
class IdWithoutPrefix(WrongReply):
    def reply(self, made: ChatCompletion) -> ChatCompletion:
        return made.model_copy(update={"id": made.id.removeprefix("chatcmpl-")})


@caught_by("chat", 1)
class AnotherType(WrongReply):
    def reply(self, made: ChatCompletion) -> ChatCompletion:
        return made.model_dump()  # type: ignore[return-value]


@caught_by("chat", 1)
class TimeInMilliseconds(WrongReply):
    def reply(self, made: ChatCompletion) -> ChatCompletion:
        return made.model_copy(update={"created": made.created * 1000})


@caught_by("chat", 2)
class NoRole(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        return [] if chunk.choices and chunk.choices[0].delta.role else [chunk]


@caught_by("chat", 2)
class AnIdForEachChunk(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        return [chunk.model_copy(update={"id": f"{chunk.id}{number}"})]


@caught_by("chat", 2)
class EndsTwice(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        return [chunk, chunk] if ends(chunk) else [chunk]


@caught_by("chat", 2)
class NeverEnds(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        return [] if ends(chunk) else [chunk]


@caught_by("chat", 2)
class TextAfterTheEnd(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        more = chunk.model_copy(deep=True)
        for choice in more.choices:
            choice.finish_reason = None
        return [chunk, with_text(more, "!")] if ends(chunk) else [chunk]


@caught_by("chat", 3)
class LastPieceDropped(Wrong):
    """In the stream; the plain answer is whole."""

    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        return await ScriptedChat(self._jan).create(body)

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        held: ChatCompletionChunk | None = None
        async with contextlib.aclosing(self.right(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if held is not None and not (ends(chunk) and text_of(held)):
                    yield held
                held = chunk
        if held is not None:
            yield held


@caught_by("chat", 3)
class AllInOnePiece(Wrong):
    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        text = ""
        async with contextlib.aclosing(self.right(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if text_of(chunk):
                    text, piece = text + text_of(chunk), chunk
                    continue
                if ends(chunk) and text:
                    yield with_text(piece, text)
                yield chunk


@caught_by("chat", 4)
class UsageUnasked(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        from jan_core.folding import streamed

        return streamed(body)


@caught_by("chat", 4)
class UsageInTheLastPiece(Wrong):
    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        async with contextlib.aclosing(self.right(body)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if ends(chunk) and body.stream_options is not None and body.stream_options.include_usage:
                    usage = CompletionUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2)
                    yield chunk.model_copy(update={"usage": usage})
                    return
                yield chunk


@caught_by("chat", 5)
class TotalOfTheAnswerOnly(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        if chunk.usage is None:
            return [chunk]
        return [chunk.model_copy(update={"usage": chunk.usage.model_copy(update={"total_tokens": 6})})]


@caught_by("chat", 5)
class TheEndCountsAsAToken(Wrong):
    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        return await ScriptedChat(self._jan).create(body)

    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        if chunk.usage is None:
            return [chunk]
        one = {
            "completion_tokens": chunk.usage.completion_tokens + 1,
            "total_tokens": chunk.usage.total_tokens + 1,
        }
        return [chunk.model_copy(update={"usage": chunk.usage.model_copy(update=one)})]


@caught_by("chat", 6)
class IdsOfTheClock(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        return [chunk.model_copy(update={"id": f"chatcmpl-{chunk.created}"})]


@caught_by("chat", 7)
class OneChoiceOnly(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"n": 1})


@caught_by("chat", 7)
class ThePromptCountsForEachChoice(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        if chunk.usage is None:
            return [chunk]
        read, written = chunk.usage.completion_tokens // 4, chunk.usage.completion_tokens
        usage = CompletionUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
        return [chunk.model_copy(update={"usage": usage})]


@caught_by("chat", 8)
class NoLimit(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"max_tokens": None, "max_completion_tokens": None})


@caught_by("chat", 8)
class TheOlderLimitOnly(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"max_completion_tokens": None})


@caught_by("chat", 8)
class AlwaysStop(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        made = chunk.model_copy(deep=True)
        for choice in made.choices:
            choice.finish_reason = "stop" if choice.finish_reason else None
        return [made]


@caught_by("chat", 9)
class StopIgnored(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"stop": None})


class StopsByPiece(Wrong):
    """Looks for stop strings in the pieces alone, so that one across two of them leaks, or its beginning does."""

    leaks = True

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
        text = ""
        async with contextlib.aclosing(self.right(body.model_copy(update={"stop": None}))) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                text += text_of(chunk)
                met = [stop for stop in stops if stop in text]
                if met and not ends(chunk):
                    if self.leaks:
                        yield chunk
                    continue
                made = chunk.model_copy(deep=True)
                for choice in made.choices:
                    choice.finish_reason = "stop" if met and choice.finish_reason else choice.finish_reason
                yield made


@caught_by("chat", 9)
class StopStringLeaked(StopsByPiece):
    pass


@caught_by("chat", 9)
class BeginningOfAStopStringLeaked(StopsByPiece):
    leaks = False


@caught_by("chat", 9)
class StoppedAtTheLimit(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        made = chunk.model_copy(deep=True)
        for choice in made.choices:
            choice.finish_reason = "length" if choice.finish_reason else None
        return [made]


@caught_by("chat", 10)
class TheLastStopStringOnly(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        stop = body.stop[-1:] if isinstance(body.stop, list) else body.stop
        return body.model_copy(update={"stop": stop})


@caught_by("chat", 11)
class BytesOfCharacters(Wrong):
    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        raw = text_of(chunk).encode()
        if len(raw) < 4:
            return [chunk]
        return [with_text(chunk, part.decode("utf-8", "replace")) for part in (raw[:2], raw[2:])]


@caught_by("chat", 12)
class ControlsBreakIt(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        text = body.messages[-1].content
        if isinstance(text, str) and not text.isprintable():
            raise ValueError("a control")
        return body


@caught_by("chat", 12)
class NothingBreaksIt(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        assert body.messages[-1].content
        return body


@caught_by("chat", 13)
class PartsForgotten(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        one = body.messages[-1]
        content = one.content if isinstance(one.content, str) else "nothing else"
        return body.model_copy(update={"messages": [*body.messages[:-1], one.model_copy(update={"content": content})]})


@caught_by("chat", 14)
class UnknownRole(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        ranks = {"system": 0, "user": 1, "assistant": 2}
        assert [ranks[one.role] for one in body.messages]
        return body


@caught_by("chat", 15)
class TheRequestIsChanged(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        body.temperature = 1.0
        return body
