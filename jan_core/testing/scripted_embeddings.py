"""The scripted engine's embeddings: a text's vector is how often each letter stands in it."""

from __future__ import annotations

import base64
import math
import struct
from typing import TYPE_CHECKING, Any, ClassVar

from jan_core import call
from jan_core.endpoints.embeddings import Embeddings
from jan_core.errors import ContextLengthExceeded, InvalidRequest
from jan_core.hookspecs import hookimpl
from jan_core.schemas.embeddings import Embedding, EmbeddingList, EmbeddingRequest, EmbeddingUsage

if TYPE_CHECKING:
    from jan_core.app import Jan

WIDTH = 16
"""Numbers of a vector: bytes are counted by their remainder."""
LAST = 256
"""The last token's number."""
LONGEST = 1000
"""Bytes, or tokens, that a text may have."""


class ScriptedEmbeddings(Embeddings):
    """Embeddings by counting: equal texts have equal vectors, and a byte is a token."""

    engine: ClassVar[str | None] = "scripted"

    def __init__(self, jan: Jan | None = None) -> None:
        self._jan = jan

    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        """See `Embeddings`."""
        if self._jan is not None:
            await self._jan.models.locate(body.model)
        width = body.dimensions or WIDTH
        if width > WIDTH:
            raise InvalidRequest(
                f"dimensions: the vectors have {WIDTH} numbers, not {width}.", param="dimensions", code="invalid_value"
            )
        texts = _texts(body)
        for index, text in enumerate(texts):
            where = f"input[{index}]" if len(texts) > 1 else "input"
            if max(text) > LAST:
                raise InvalidRequest(f"{where}: the scripted engine has the tokens 0 to {LAST}.", param=where)
            if len(text) > LONGEST:
                raise ContextLengthExceeded(f"{where}: {len(text)} tokens; {LONGEST} fit.", param=where)
        tokens = sum(map(len, texts))
        context = call.current()
        if context is not None:
            context.prompt_tokens, context.completion_tokens = tokens, 0
        data = [
            Embedding(index=index, embedding=_written(_vector(text, width), body.encoding_format))
            for index, text in enumerate(texts)
        ]
        return EmbeddingList(
            data=data, model=body.model, usage=EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens)
        )


def _texts(body: EmbeddingRequest) -> list[list[int]]:
    given: Any = body.input
    if isinstance(given, str) or isinstance(given[0], int):
        given = [given]
    return [list(one.encode()) if isinstance(one, str) else one for one in given]


def _vector(text: list[int], width: int) -> list[float]:
    counts = [1.0] * width  # not 0, so that every vector has a direction
    for byte in text:
        if byte % WIDTH < width:
            counts[byte % WIDTH] += 1
    length = math.hypot(*counts)
    return [count / length for count in counts]


def _written(vector: list[float], form: str | None) -> list[float] | str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if form == "base64" else vector


@hookimpl
def provide_embeddings(settings: Any, jan: Jan) -> ScriptedEmbeddings:
    """Build the module."""
    return ScriptedEmbeddings(jan)
