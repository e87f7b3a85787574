"""The endpoint `completions` on llama.cpp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, ClassVar

from jan_llamacpp.asking import Asking
from jan_llamacpp.sampling import check_bias, defaults, too_long, vocabulary_of

from jan_completions_llamacpp.request import (
    Text,
    check_length,
    check_tokens,
    engine_request,
    limit,
    place,
    refuse,
    rounds,
    texts,
    written,
)
from jan_core import call
from jan_core.endpoints.completions import Completions
from jan_core.errors import InvalidRequest, NotSupported

if TYPE_CHECKING:
    from jan_llamacpp import LlamaCpp

    from jan_core.app import Jan
    from jan_core.schemas.completions import (
        CompletionChunk,
        CompletionRequest,
        DetokenizeRequest,
        Token,
        TokenizeRequest,
    )


class CompletionsLlamaCpp(Completions):
    """Completions by llama.cpp.

    Args:
        jan: gives `models`, which knows where a model's files are.
        engine: the loaded models.
    """

    engine: ClassVar[str | None] = "llamacpp"

    def __init__(self, jan: Jan, engine: LlamaCpp) -> None:
        self._jan = jan
        self._engine = engine

    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        """See `Completions`. Answers beyond the model's slots are written in rounds."""
        from jan_completions_llamacpp.answer import Answer  # the first request pays for the schemas, not the start

        refuse(body)
        asking = await Asking.locate(self._jan, self._engine, body.model)
        check_bias(body, vocabulary_of(asking.location))
        own = defaults(asking.location)
        most = limit(body, own)
        prompts, read = await self._prompts(body, asking, most)
        echoes = await self._echoes(body, asking)
        answer = Answer(body, echoes, call.current())
        for chunk in answer.begin():
            yield chunk
        if most == 0:
            for chunk in answer.without_tokens(read):
                yield chunk
        else:
            for part in rounds(len(prompts), written(body), asking.slots):
                async with AsyncExitStack() as stack:
                    request = engine_request(body, own, prompts, part)
                    pieces = self._engine.generate(asking.location, "completion", request, slots=part.slots)
                    stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                    async for piece in pieces:
                        for chunk in answer.chunks(piece, part):
                            yield chunk
            answer.check()
        if body.stream_options is not None and body.stream_options.include_usage:
            yield answer.last()

    async def count_tokens(self, body: CompletionRequest) -> int:
        """See `Completions`."""
        asking = await Asking.locate(self._jan, self._engine, body.model)
        _, read = await self._prompts(body, asking, 0)
        return read

    async def tokenize(self, body: TokenizeRequest) -> list[Token]:
        """See `Completions`."""
        from jan_completions_llamacpp.shown import shown

        asking = await Asking.locate(self._jan, self._engine, body.model)
        return [shown(one) for one in await asking.pieces(body.text, body.special)]

    async def detokenize(self, body: DetokenizeRequest) -> str:
        """See `Completions`."""
        asking = await Asking.locate(self._jan, self._engine, body.model)
        vocabulary = (await asking.described())["vocabulary"]
        for index, token in enumerate(body.tokens):
            if token >= vocabulary:
                raise InvalidRequest(
                    f"tokens[{index}]: the model {body.model!r} has no token {token}; the last is {vocabulary - 1}.",
                    param=f"tokens[{index}]",
                    code="invalid_value",
                )
        return await asking.text(body.tokens)

    async def _prompts(self, body: CompletionRequest, asking: Asking, most: int) -> tuple[list[Text], int]:
        """The prompts as the engine is to read them, checked, and how many tokens they have.

        They are counted here only where the engine does not, since nothing is to be written (`most` is 0), or would not
        tell which of several is too long.
        """
        check_length(body, asking.context)
        found: list[Text] = texts(body)
        if any(isinstance(text, list) for text in found):
            check_tokens(body, (await asking.described())["vocabulary"])
        if body.suffix is not None:
            found = await self._with_gap(body, asking, found)
        elif "" in found:
            start = (await asking.described())["start"]
            if start is None:
                index = found.index("")
                raise InvalidRequest(
                    f"{place(body, index)}: the model has no token that begins a text, so a prompt cannot be empty.",
                    param=place(body, index),
                    code="invalid_value",
                )
            found = [text or [start] for text in found]
        read = 0
        for index, text in enumerate(found):
            fits = len(text) if isinstance(text, list) else len(text.encode()) + 1
            if most == 0 or (len(found) > 1 and fits >= asking.context):
                count = len(text) if isinstance(text, list) else len(await asking.tokens(text))
                if count >= asking.context:
                    raise too_long("The prompt is", f"{count} tokens", asking.context, place(body, index))
                read += count
        return found, read

    async def _with_gap(self, body: CompletionRequest, asking: Asking, prompts: list[Text]) -> list[Text]:
        """Each prompt with the gap and the text after it, in the tokens that the model was trained with."""
        fim = (await asking.described())["fim"]
        if isinstance(fim, str):
            raise NotSupported(
                f"suffix: the model {body.model!r} cannot fill a gap ({fim.rstrip('.')}); leave it out, or take a "
                "model that was trained to fill in the middle.",
                param="suffix",
            )
        *start, prefix, suffix, middle = fim
        after = await asking.tokens(body.suffix or "", special=False)
        found: list[Text] = []
        for index, text in enumerate(prompts):
            before = text if isinstance(text, list) else await asking.tokens(text, special=False)
            tokens = [*start, prefix, *before, suffix, *after, middle]
            if len(tokens) >= asking.context:
                where = place(body, index)
                raise too_long("The prompt and the suffix are", f"{len(tokens)} tokens", asking.context, where)
            found.append(tokens)
        return found

    async def _echoes(self, body: CompletionRequest, asking: Asking) -> list[str]:
        """What each prompt's answers begin with."""
        if not body.echo:
            return [""] * len(texts(body))
        return [text if isinstance(text, str) else await asking.text(text) for text in texts(body)]
