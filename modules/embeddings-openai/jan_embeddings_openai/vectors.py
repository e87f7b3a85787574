"""Vectors as other servers make them, brought to what the API promises."""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_upstreams.choosing import of_text
from jan_upstreams.mending import bad, count_of

from jan_core import call
from jan_core.errors import ContextLengthExceeded, InvalidRequest
from jan_core.schemas.embeddings import Embedding, EmbeddingList, EmbeddingUsage

if TYPE_CHECKING:
    from jan_upstreams import Upstreams

    from jan_core.schemas.embeddings import EmbeddingRequest


class Vectors:
    """The vectors of one request.

    Args:
        engine: the servers.
        model: the model's own id.
        body: what was asked.
    """

    def __init__(self, engine: Upstreams, model: str, body: EmbeddingRequest) -> None:
        self._engine = engine
        self._model = model
        self._body = body
        given: Any = body.input
        alone = isinstance(given, str) or isinstance(given[0], int)
        self._texts: list[Any] = [given] if alone else list(given)
        self._alone = alone

    async def made(self) -> EmbeddingList:
        """Ask for them.

        Raises:
            JanError: see `Embeddings.create`.
        """
        try:
            vectors, tokens = await self._asked(self._texts)
        except InvalidRequest as error:
            raise await self._placed(error) from None
        body, wanted = self._body, self._body.dimensions
        if wanted is not None and vectors and wanted > len(vectors[0]):
            raise InvalidRequest(
                f"dimensions: the model {body.model!r} makes vectors of {len(vectors[0])} numbers: ask for that.",
                param="dimensions",
                code="invalid_value",
            )
        data = [
            Embedding(index=index, embedding=self._written(_of_length_one(vector[:wanted])))
            for index, vector in enumerate(vectors)
        ]
        context = call.current()
        if context is not None:
            context.prompt_tokens = tokens
        usage = EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
        return EmbeddingList(data=data, model=body.model, usage=usage)

    async def _asked(self, texts: Sequence[Any]) -> tuple[list[list[float]], int]:
        # Never with `dimensions`: many servers pass over them in silence, and cutting is the same everywhere.
        own = {"model": self._model, "input": texts, "encoding_format": "float"}
        request = {**(self._body.model_extra or {}), **own}
        raw = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        _, found = await self._engine.ask(self._model, of_text(self._model, texts), "/embeddings", raw)
        listed = found.get("data") if isinstance(found, dict) else None
        if not isinstance(listed, list) or len(listed) != len(texts):
            raise bad("another number of vectors than there are texts")
        vectors: dict[int, list[float]] = {}
        for place, one in enumerate(listed):
            index = one.get("index", place if len(listed) == 1 else None) if isinstance(one, dict) else None
            if not isinstance(index, int) or index in vectors or not 0 <= index < len(texts):
                raise bad("vectors of which nobody can say whose they are")
            vectors[index] = _numbers(one.get("embedding"))
        usage = found.get("usage")
        tokens = count_of(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
        return [vectors[index] for index in range(len(texts))], tokens or 0

    async def _placed(self, error: InvalidRequest) -> InvalidRequest:
        """The same error with the text that it is about: servers seldom tell."""
        if not isinstance(error, ContextLengthExceeded) and error.code == "not_supported":
            return error
        if self._alone:
            error.param = "input"
            return error
        for index, text in enumerate(self._texts):
            try:
                await self._asked([text])
            except InvalidRequest as found:
                found.param = f"input[{index}]"
                return found
        return error

    def _written(self, vector: list[float]) -> list[float] | str:
        if self._body.encoding_format != "base64":
            return vector
        numbers = array("f", vector)
        if array("H", [1]).tobytes() == b"\0\1":
            numbers.byteswap()
        return base64.b64encode(numbers.tobytes()).decode()


def _numbers(value: Any) -> list[float]:
    if isinstance(value, str):
        try:
            numbers = array("f", base64.b64decode(value, validate=True))
        except ValueError:
            raise bad("a vector that is none") from None
        if array("H", [1]).tobytes() == b"\0\1":
            numbers.byteswap()
        return numbers.tolist()
    if not isinstance(value, list) or not value:
        raise bad("a vector that is none")
    try:
        found = [float(one) for one in value]
    except (TypeError, ValueError):
        raise bad("a vector that is none") from None
    if not all(map(math.isfinite, found)):
        raise bad("a vector with numbers that are none")
    return found


def _of_length_one(vector: list[float]) -> list[float]:
    length = math.sqrt(math.fsum(one * one for one in vector))
    # What is as good as 1 stays as it came, so that it is the same to the last digit.
    return vector if length == 0 or abs(length - 1) < 1e-6 else [one / length for one in vector]
