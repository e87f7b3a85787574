"""The endpoint `completions` on other servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoints.completions import Completions

if TYPE_CHECKING:
    from jan_upstreams import Upstreams

    from jan_core.app import Jan
    from jan_core.schemas.completions import Completion, CompletionChunk, CompletionRequest


class CompletionsOpenAI(Completions):
    """Text completions by other servers.

    Args:
        jan: gives `models`, which knows whose a model is.
        engine: the servers.
        passes_on: whether fields that the API does not know go to them.
    """

    engine: ClassVar[str | None] = "openai"

    def __init__(self, jan: Jan, engine: Upstreams, *, passes_on: bool = False) -> None:
        self._jan = jan
        self._engine = engine
        self.takes_unknown_fields = passes_on

    async def ready(self) -> None:
        """One of the servers may be asked."""
        await self._engine.reachable()

    async def create(self, body: CompletionRequest) -> Completion:
        """See `Completions`. While nothing was told, an answer that breaks off is asked of another server."""
        from jan_core.folding_completions import fold_completion, streamed

        return await fold_completion(self._chunks(streamed(body), whole=True))

    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        """See `Completions`."""
        async with AsyncExitStack() as stack:
            chunks = self._chunks(body, whole=False)
            stack.push_async_callback(chunks.aclose)  # type: ignore[attr-defined]
            async for chunk in chunks:
                yield chunk

    async def _chunks(self, body: CompletionRequest, *, whole: bool) -> AsyncIterator[CompletionChunk]:
        from jan_upstreams.together import together

        from jan_completions_openai.answer import Answer  # the first request pays for the schemas, not the start
        from jan_completions_openai.request import asked, encoded, key_of, prompts, refuse

        refuse(body)
        model = (await self._jan.models.locate(body.model)).id
        request = asked(body, model)
        answer = Answer(body)
        async with AsyncExitStack() as stack:
            pieces = together(
                [
                    partial(
                        self._engine.stream,
                        model,
                        key_of(model, prompt),
                        "/completions",
                        encoded(request, prompt, number),
                        whole=whole,
                    )
                    for prompt in prompts(body)
                    for number in range(body.n or 1)
                ]
            )
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for index, piece in pieces:
                for chunk in answer.chunks(piece, index):
                    yield chunk
        for chunk in answer.end():
            yield chunk
