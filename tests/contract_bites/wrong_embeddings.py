"""Embeddings, each time with one mistake in the scripted engine."""

from __future__ import annotations

import asyncio
import base64
import struct
from typing import Any

from jan_core import call
from jan_core.endpoints.embeddings import Embeddings
from jan_core.errors import ContextLengthExceeded, InvalidRequest, JanError, ModelNotFound
from jan_core.hookspecs import hookimpl
from jan_core.schemas.embeddings import EmbeddingList, EmbeddingRequest
from jan_core.testing.contract.embeddings import floats
from jan_core.testing.scripted_embeddings import WIDTH, ScriptedEmbeddings
from tests.contract_bites.bites import caught_by
from tests.contract_bites.faults import Lenient


class Wrong(ScriptedEmbeddings):
    """The reference, as the plugin of itself."""

    @classmethod
    @hookimpl
    def provide_embeddings(cls, settings: Any, jan: Any) -> Embeddings:
        return cls(jan)

    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        return body

    def changed(self, made: EmbeddingList) -> EmbeddingList:
        return made

    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        return self.changed(await super().create(self.asked(body)))


class WrongVectors(Wrong):
    """Changes each vector."""

    def vector(self, given: list[float]) -> list[float]:
        return given

    def changed(self, made: EmbeddingList) -> EmbeddingList:
        for one in made.data:
            vector = self.vector(floats(one.embedding))
            raw = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            one.embedding = raw if isinstance(one.embedding, str) else vector
        return made


@caught_by("embeddings", 1)
class AlwaysTheFirstIndex(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        for one in made.data:
            one.index = 0
        return made


@caught_by("embeddings", 1)
class LastVectorDropped(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        return made.model_copy(update={"data": made.data[:-1] or made.data})


@caught_by("embeddings", 1)
class TotalForgotten(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        made.usage.total_tokens = 0
        return made


@caught_by("embeddings", 2)
class VectorsInAnotherOrder(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        for one, vector in zip(made.data, [one.embedding for one in made.data][::-1], strict=True):
            one.embedding = vector
        return made


@caught_by("embeddings", 2)
class OneVectorForAll(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        for one in made.data:
            one.embedding = [1.0, *[0.0] * (WIDTH - 1)]
        return made


@caught_by("embeddings", 3)
class NotOfLength1(WrongVectors):
    def vector(self, given: list[float]) -> list[float]:
        return [number * 2 for number in given]


@caught_by("embeddings", 4)
class BigEndian(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        for one in made.data:
            if isinstance(one.embedding, str):
                vector = floats(one.embedding)
                one.embedding = base64.b64encode(struct.pack(f">{len(vector)}f", *vector)).decode()
        return made


@caught_by("embeddings", 4)
class AlwaysNumbers(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        return body.model_copy(update={"encoding_format": None})


@caught_by("embeddings", 4)
class NotEvenBase64(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        for one in made.data:
            one.embedding = f"!{one.embedding}" if isinstance(one.embedding, str) else one.embedding
        return made


@caught_by("embeddings", 5)
class DimensionsIgnored(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        many = (body.dimensions or 0) > WIDTH
        return body if many else body.model_copy(update={"dimensions": None})


@caught_by("embeddings", 5)
class CutAndLeftShort(Wrong):
    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        made = await super().create(body.model_copy(update={"dimensions": None, "encoding_format": None}))
        for one in made.data:
            one.embedding = floats(one.embedding)[: body.dimensions]
        return made


@caught_by("embeddings", 6)
class FilledUp(Wrong):
    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        if (body.dimensions or 0) <= WIDTH:
            return await super().create(body)
        return await super().create(body.model_copy(update={"dimensions": WIDTH}))


@caught_by("embeddings", 6)
class TooManyIsAMissingModel(Wrong):
    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        try:
            return await super().create(body)
        except InvalidRequest as error:
            raise ModelNotFound(error.message, param=error.param) from None


@caught_by("embeddings", 7)
class TokensCountedAsDigits(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        given: Any = body.input
        if isinstance(given, list) and not isinstance(given[0], str):
            texts = [" ".join(map(str, one)) for one in (given if isinstance(given[0], list) else [given])]
            return body.model_copy(update={"input": texts})
        return body


@caught_by("embeddings", 7)
class EachTokenIsAText(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        given: Any = body.input
        if isinstance(given, list) and isinstance(given[0], int):
            return body.model_copy(update={"input": [[one] for one in given]})
        return body


@caught_by("embeddings", 8)
class UnknownTokensBecomeKnown(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        given: Any = body.input
        if isinstance(given, list) and isinstance(given[0], int):
            return body.model_copy(update={"input": [one % 256 for one in given]})
        return body


@caught_by("embeddings", 9)
class TextsCut(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        given: Any = body.input
        return body.model_copy(update={"input": [one[:500] for one in ([given] if isinstance(given, str) else given)]})


@caught_by("embeddings", 9)
class WhichTextIsNotTold(Wrong):
    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        try:
            return await super().create(body)
        except ContextLengthExceeded as error:
            error.param = "input"
            raise


@caught_by("embeddings", 10)
class AnyModel(Wrong):
    """Puts models of its own in the place of those that the app has, which the kernel asks first."""

    async def __aenter__(self) -> Any:
        assert self._jan is not None
        self._jan.endpoints["models"] = Lenient()  # type: ignore[index]
        return self


@caught_by("embeddings", 11)
class ControlsBreakIt(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        assert all(isinstance(one, str) and one.strip() for one in body.input)
        return body


@caught_by("embeddings", 12)
class Mixed(Wrong):
    """What belongs to a request is kept with the module."""

    latest: EmbeddingRequest

    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        self.latest = body
        await asyncio.sleep(0)
        return await super().create(self.latest)


@caught_by("embeddings", 13)
class TheCallIsNotTold(Wrong):
    def changed(self, made: EmbeddingList) -> EmbeddingList:
        context = call.current()
        if context is not None:
            context.prompt_tokens = None
        return made


@caught_by("embeddings", 13)
class EqualTextsCountOnce(Wrong):
    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        made = await super().create(body)
        given: Any = body.input
        if isinstance(given, list) and len({str(one) for one in given}) < len(given):
            made.usage.prompt_tokens //= len(given)
        return made


@caught_by("embeddings", 14)
class TheRequestIsChanged(Wrong):
    def asked(self, body: EmbeddingRequest) -> EmbeddingRequest:
        body.encoding_format = "float"
        return body


@caught_by("embeddings", 14)
class OneReplyForAll(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._made: dict[str, EmbeddingList] = {}

    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        key = repr(body)
        if key not in self._made:
            self._made[key] = await super().create(body)
        return self._made[key]


@caught_by("embeddings", 15)
class GoesOnAfterCancel(Wrong):
    def __init__(self, jan: Any) -> None:
        super().__init__(jan)
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aexit__(self, *error: Any) -> None:
        for task in self._tasks:
            task.cancel()

    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        self._tasks.append(asyncio.create_task(self._slowly(body)))
        return await asyncio.shield(self._tasks[-1])

    async def _slowly(self, body: EmbeddingRequest) -> EmbeddingList:
        if isinstance(body.input, list):
            await asyncio.sleep(60)
        return await super().create(body)


@caught_by("embeddings", 15)
class CancelRaisesAnother(Wrong):
    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        try:
            if isinstance(body.input, list):
                await asyncio.sleep(1)
            return await super().create(body)
        except asyncio.CancelledError:
            raise JanError("cancelled") from None
