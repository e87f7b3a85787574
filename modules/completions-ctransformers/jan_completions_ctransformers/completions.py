"""The endpoint `completions` on ctransformers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from jan_ctransformers.sampling import check_length, defaults, refused, sampling

from jan_completions_ctransformers.request import Prompt, limit, prompts, refuse
from jan_core import call
from jan_core.endpoints.completions import Completions
from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest

if TYPE_CHECKING:
    from jan_ctransformers import CTransformers

    from jan_core.app import Jan
    from jan_core.schemas.completions import CompletionChunk, CompletionRequest
    from jan_core.schemas.models import ModelLocation


class CompletionsCTransformers(Completions):
    """Completions of text by ctransformers.

    Args:
        jan: gives `models`, which knows where a model's files are.
        engine: the loaded models.
    """

    engine: ClassVar[str | None] = "ctransformers"

    def __init__(self, jan: Jan, engine: CTransformers) -> None:
        self._jan = jan
        self._engine = engine

    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        """See `Completions`. Prompts, and the answers of `n`, are written one after the other."""
        from jan_completions_ctransformers.answer import Answer  # the first request pays for the schemas, not the start

        refuse(body)
        asked = prompts(body)
        location = await self._locate(body.model)
        own = defaults(location)
        context = self._engine.model(location).context
        for prompt in asked:
            check_length(len(prompt), context, "prompt")
        for number, prompt in enumerate(asked[1:], 1):
            # The worker looks at each when its turn comes, which is after the first answer has begun.
            tokens = (await self._told(location, "count", {"prompt": prompt}))["tokens"]
            if tokens > context:
                where = f"prompt[{number}]"
                raise ContextLengthExceeded(
                    f"{where} is {tokens} tokens long; this model is loaded for {context} tokens of prompt and answer.",
                    param=where,
                )
        answer = Answer(body.model, call.current())
        for number, prompt in enumerate(asked):
            shown = await self._text(location, prompt) if body.echo else ""
            for choice in range(body.n or 1):
                index = number * (body.n or 1) + choice
                given = {"prompt": prompt, "max_tokens": limit(body, own), **sampling(body, own, index)}
                async with AsyncExitStack() as stack:
                    pieces = self._engine.generate(location, "completion", given)
                    stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
                    async for piece in pieces:
                        for chunk in answer.chunks(piece, index, number, shown):
                            yield chunk
                answer.check(index)
        if body.stream_options is not None and body.stream_options.include_usage:
            yield answer.last()

    async def count_tokens(self, body: CompletionRequest) -> int:
        """See `Completions`."""
        location = await self._locate(body.model)
        return sum([(await self._told(location, "count", {"prompt": one}))["tokens"] for one in prompts(body)])

    async def _text(self, location: ModelLocation, prompt: Prompt) -> str:
        if isinstance(prompt, str):
            return prompt
        return str((await self._told(location, "detokenize", {"tokens": prompt}))["text"])

    async def _told(self, location: ModelLocation, task: str, given: dict[str, Any]) -> dict[str, Any]:
        """The one piece that a task is answered with."""
        async with AsyncExitStack() as stack:
            pieces = self._engine.generate(location, task, given)
            stack.push_async_callback(pieces.aclose)  # type: ignore[attr-defined]
            async for piece in pieces:
                if "error" in piece:
                    raise refused(piece["error"], "prompt")
                return piece
        raise EngineError("The engine ended without an answer.", code="incomplete_answer")

    async def _locate(self, model: str) -> ModelLocation:
        location: ModelLocation = await self._jan.models.locate(model)
        if location.engine not in (None, self.engine):
            raise InvalidRequest(
                f"The model {model!r} is for the engine {location.engine!r}; completions-ctransformers runs "
                "ctransformers.",
                param="model",
                code="engine_not_available",
            )
        return location
