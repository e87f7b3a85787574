"""Chats with one mistake each: what they refuse, how they end, and what else they are asked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

from jan_core import call
from jan_core.errors import InvalidRequest, JanError, ModelNotFound
from jan_core.schemas.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionRequest
from tests.contract_bites.bites import caught_by
from tests.contract_bites.faults import InATask, LeftOpen, Lenient
from tests.contract_bites.wrong_chat import Wrong, WrongReply, text_of, with_text


class OtherModels(Wrong):
    """Puts models of its own in the place of those that the app has: the kernel asks them before it asks the chat."""

    async def __aenter__(self) -> Any:
        assert self._jan is not None
        self._jan.endpoints["models"] = Lenient(self.located)
        return self

    def located(self, model: str) -> None:
        """What becomes of a name that is no model's."""


@caught_by("chat", 16)
class AnyModel(OtherModels):
    pass


@caught_by("chat", 16)
class UnknownModelIsABadRequest(OtherModels):
    def located(self, model: str) -> None:
        raise InvalidRequest(f"There is no model {model}.", param="model")


@caught_by("chat", 17)
class ModelsArePaths(OtherModels):
    def located(self, model: str) -> None:
        if "/" in model:
            raise FileNotFoundError(model)
        raise ModelNotFound("There is none.", param="model")


@caught_by("chat", 18)
class PromptCut(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        short = [
            one.model_copy(update={"content": one.content[:100] if isinstance(one.content, str) else one.content})
            for one in body.messages
        ]
        return body.model_copy(update={"messages": short})


@caught_by("chat", 18)
class EarlyMessagesForgotten(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"messages": body.messages[-1:]})


@caught_by("chat", 19)
class ToolsIgnored(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"tools": None})


@caught_by("chat", 19)
class FavouredTokensIgnored(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"logit_bias": None})


@caught_by("chat", 19)
class PredictionIgnored(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"prediction": None})


@caught_by("chat", 19)
class ImagesIgnored(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        one = body.messages[-1]
        if not isinstance(one.content, list):
            return body
        texts = [part for part in one.content if part.type == "text"]
        return body.model_copy(update={"messages": [*body.messages[:-1], one.model_copy(update={"content": texts})]})


@caught_by("chat", 19)
class RefusedWithoutAName(Wrong):
    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        try:
            return await super().create(body)
        except JanError as error:
            error.param = None
            raise


@caught_by("chat", 20)
class ErrorsInTheStream(Wrong):
    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        delta = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        begun = {"id": "chatcmpl-1", "created": 1, "model": body.model, "choices": [delta]}
        yield ChatCompletionChunk.model_validate(begun)
        async for chunk in self.right(body):
            yield chunk


@caught_by("chat", 21)
class GoesOnAfterClosing(InATask, Wrong):
    pass


@caught_by("chat", 21)
class LeakedGenerator(LeftOpen, Wrong):
    pass


@caught_by("chat", 21)
class ClosingIsIgnored(Wrong):
    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        async for chunk in self.right(body):
            try:
                yield chunk
            except GeneratorExit:
                yield chunk


@caught_by("chat", 22)
class GoesOnAfterCancel(GoesOnAfterClosing):
    """The plain answer, too, is written by a task of its own."""

    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        task = asyncio.create_task(super().create(body))
        self.tasks.append(task)
        return await asyncio.shield(task)


@caught_by("chat", 22)
class CancelRaisesAnother(Wrong):
    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        try:
            return await super().create(body)
        except asyncio.CancelledError:
            raise RuntimeError("cancelled") from None


@caught_by("chat", 23)
class GoesOnWhenTheClientLeft(GoesOnAfterClosing):
    pass


class Mixed(Wrong):
    """What belongs to a stream is kept with the module."""

    latest = ""

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        async for chunk in self.right(body):
            if text_of(chunk):
                self.latest = text_of(chunk)
                await asyncio.sleep(0)
                yield with_text(chunk, self.latest)
            else:
                yield chunk


@caught_by("chat", 24)
class TwoStreamsMixed(Mixed):
    pass


@caught_by("chat", 25)
class TheCallIsNotTold(Wrong):
    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        async for chunk in self.right(body):
            yield chunk
        context = call.current()
        if context is not None:
            context.prompt_tokens = context.completion_tokens = None


@caught_by("chat", 25)
class ToldWhereUsageIsAskedFor(Wrong):
    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        async for chunk in self.right(body):
            yield chunk
        context = call.current()
        if context is not None and body.stream_options is None:
            context.completion_tokens = 0


@caught_by("chat", 26)
class TokensByLetters(Wrong):
    async def count_tokens(self, body: ChatCompletionRequest) -> int:
        return len(str(body.messages[-1].content)) // 4


@caught_by("chat", 26)
class LeftOutAndAnswered(Wrong):
    def supports(self, name: str) -> bool:
        return name != "count_tokens" and super().supports(name)

    async def count_tokens(self, body: ChatCompletionRequest) -> int:
        return 1


@caught_by("chat", 27)
class LeftOutByAnotherError(Wrong):
    def supports(self, name: str) -> bool:
        return name != "template" and super().supports(name)

    async def template(self, body: ChatCompletionRequest) -> str:
        raise NotImplementedError


@caught_by("chat", 27)
class OnlyTheLastMessageShown(Wrong):
    async def template(self, body: ChatCompletionRequest) -> str:
        return str(body.messages[-1].content)


@caught_by("chat", 30)
class TellsAShortContext(Wrong):
    async def context_length(self, body: ChatCompletionRequest) -> int:
        return 2


class Keeping(Wrong):
    """Keeps every answer, in a dict."""

    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self.kept: dict[str, ChatCompletion] = {}

    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        made = await super().create(body.model_copy(update={"store": None}))
        self.kept[made.id] = made.model_copy(update={"metadata": body.metadata})
        return made

    async def retrieve(self, completion_id: str) -> ChatCompletion:
        return self.kept[completion_id]


@caught_by("chat", 28)
class KeepsWhatNobodyAskedFor(Keeping):
    async def retrieve(self, completion_id: str) -> ChatCompletion:
        if completion_id not in self.kept:
            raise ModelNotFound("There is none.")
        return await super().retrieve(completion_id)


@caught_by("chat", 28)
class NoneIsAKeyError(Keeping):
    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        made = await super().create(body)
        if not body.store:
            del self.kept[made.id]
        return made


@caught_by("chat", 29)
class HeldBackForEver(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"stop": [one[:-1] for one in body.stop] if body.stop else None})


class Forgets(Wrong):
    """Reads a part of a conversation."""

    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        return body.model_copy(update={"messages": self.read(body.messages)})

    def read(self, messages: list[Any]) -> list[Any]:
        raise NotImplementedError


@caught_by("chat", 31)
class LastMessageOnly(Forgets):
    def read(self, messages: list[Any]) -> list[Any]:
        return messages[-1:]


@caught_by("chat", 31)
class FirstMessageOnly(Forgets):
    def read(self, messages: list[Any]) -> list[Any]:
        return messages[:1]


@caught_by("chat", 31)
class InstructionsAndTheLastMessageOnly(Forgets):
    def read(self, messages: list[Any]) -> list[Any]:
        return [*(one for one in messages[:-1] if one.role == "system"), messages[-1]]


@caught_by("chat", 31)
class NoAnswersOfItsOwn(Forgets):
    def read(self, messages: list[Any]) -> list[Any]:
        return [one for one in messages if one.role != "assistant"]


@caught_by("chat", 31)
class BeginningsOfMessages(Forgets):
    def read(self, messages: list[Any]) -> list[Any]:
        return [
            one.model_copy(update={"content": one.content[:10]}) if isinstance(one.content, str) else one
            for one in messages
        ]


@caught_by("chat", 32)
class WaitsOnTheLoop(Wrong):
    """As a client of an engine does that is no asynchronous one."""

    def changed(self, number: int, chunk: ChatCompletionChunk) -> list[ChatCompletionChunk]:
        if number == 1:
            threading.Event().wait(1)
        return [chunk]


@caught_by("chat", 32)
class ComputesOnTheLoop(Wrong):
    def asked(self, body: ChatCompletionRequest) -> ChatCompletionRequest:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            pass
        return body


@caught_by("chat", 32)
class WaitsOnTheLoopForAReply(WrongReply):
    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        threading.Event().wait(1)
        return await super().create(body)
