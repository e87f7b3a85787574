"""The endpoint `embeddings` on llama.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from jan_llamacpp.asking import Asking
from jan_llamacpp.parameters import EMBEDDINGS
from jan_llamacpp.sampling import LONGEST_TOKEN

from jan_core import call
from jan_core.endpoints.embeddings import Embeddings
from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest

if TYPE_CHECKING:
    from jan_llamacpp import LlamaCpp

    from jan_core.app import Jan
    from jan_core.schemas.embeddings import EmbeddingList, EmbeddingRequest

Text = str | list[int]
"""An input: text, or the numbers of its tokens."""


class EmbeddingsLlamaCpp(Embeddings):
    """Embeddings by llama.cpp, in a worker that is started for them.

    Args:
        jan: gives `models`, which knows where a model's files are.
        engine: the loaded models.
    """

    engine: ClassVar[str | None] = "llamacpp"

    def __init__(self, jan: Jan, engine: LlamaCpp) -> None:
        self._jan = jan
        self._engine = engine

    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        """See `Embeddings`. The engine takes all texts in one request and spreads them over its slots itself."""
        # The first request pays for the schemas, not the start.
        from jan_core.schemas.embeddings import Embedding, EmbeddingList, EmbeddingUsage
        from jan_embeddings_llamacpp.vectors import written

        asking = await Asking.locate(self._jan, self._engine, body.model, EMBEDDINGS)
        texts = _texts(body)
        await self._check(body, asking, texts)
        request = {"input": texts, "encoding_format": "base64"}
        told = await asking.once("embedding", request, slots=min(len(texts), asking.slots))
        vectors = {one["index"]: one["embedding"] for one in told["data"]}
        if sorted(vectors) != list(range(len(texts))):
            raise EngineError("The engine did not make a vector of every text.", code="incomplete_answer")
        read = told["usage"]["prompt_tokens"]
        context = call.current()
        if context is not None:
            context.prompt_tokens, context.completion_tokens = read, 0
        data = [
            Embedding(index=index, embedding=written(vectors[index], body.dimensions, body.encoding_format))
            for index in range(len(texts))
        ]
        return EmbeddingList(data=data, model=body.model, usage=EmbeddingUsage(prompt_tokens=read, total_tokens=read))

    async def _check(self, body: EmbeddingRequest, asking: Asking, texts: list[Text]) -> None:
        """Refuse what the engine would not do, or would refuse without saying which text is at fault."""
        for index, text in enumerate(texts):
            if isinstance(text, str) and len(text) > asking.context * LONGEST_TOKEN:
                raise _too_long(_place(body, index), f"{len(text)} characters", asking.context)
        described = await asking.described()
        if body.dimensions is not None and body.dimensions > described["width"]:
            raise InvalidRequest(
                f"dimensions: the vectors of {body.model!r} have {described['width']} numbers, not {body.dimensions}.",
                param="dimensions",
                code="invalid_value",
            )
        for index, text in enumerate(texts):
            where = _place(body, index)
            if isinstance(text, list):
                _check_tokens(text, described["vocabulary"], where)
                count = len(text)
            elif len(text.encode()) + 2 > asking.context:  # fewer bytes than that have no more tokens
                count = len(await asking.tokens(text))
            else:
                continue
            if count > asking.context:
                raise _too_long(where, f"{count} tokens", asking.context)


def _texts(body: EmbeddingRequest) -> list[Text]:
    given: Any = body.input
    return [given] if isinstance(given, str) or isinstance(given[0], int) else list(given)


def _place(body: EmbeddingRequest, index: int) -> str:
    """The field that holds a text, for an error."""
    given: Any = body.input
    return f"input[{index}]" if isinstance(given, list) and not isinstance(given[0], int) else "input"


def _check_tokens(text: list[int], vocabulary: int, where: str) -> None:
    if max(text) >= vocabulary:
        at = next(number for number, token in enumerate(text) if token >= vocabulary)
        raise InvalidRequest(
            f"{where}[{at}]: the model has the tokens 0 to {vocabulary - 1}, not {text[at]}.",
            param=f"{where}[{at}]",
            code="invalid_value",
        )


def _too_long(where: str, length: str, context: int) -> ContextLengthExceeded:
    return ContextLengthExceeded(
        f"{where} has {length}; this model reads at most {context} tokens of a text. "
        "Split it, or set ctx_len in the model's model.json if the model can do more.",
        param=where,
    )
