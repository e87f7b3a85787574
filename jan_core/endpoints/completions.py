"""`/v1/completions`: a model goes on with a text.

Source of the shapes: OpenAI's API reference, resource "Completions".
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.completions import (
        Completion,
        CompletionChunk,
        CompletionRequest,
        DetokenizeRequest,
        Token,
        TokenizeRequest,
    )


class Completions(Endpoint):
    """Completions of text, without a chat template.

    An implementation writes `create_stream`; `create` folds it. Prompts are never cut: what does not fit the model's
    context is refused with `context_length_exceeded`. When the caller goes away, the iterator is closed, and closing
    it ends the generation. What an implementation cannot do (`suffix`, `logprobs`, …) it refuses with `NotSupported`,
    naming the field.
    """

    name: ClassVar[str] = "completions"
    schemas: ClassVar[str] = "jan_core.schemas.completions"
    several: ClassVar[bool] = True

    @operation("POST /v1/completions")
    async def create(self, body: CompletionRequest) -> Completion:
        """Go on with one or several texts, in one reply.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
            InvalidRequest: a token's number is not in the model's vocabulary.
            ContextLengthExceeded: a prompt and its answer do not fit the model's context.
            NotSupported: the module or the model cannot do what `param` asks for.
            Busy: too many requests wait for this model already; carries `Retry-After`.
            EngineError: the engine failed; the next request may succeed.
        """
        from jan_core.folding_completions import fold_completion, streamed

        return await fold_completion(self.create_stream(streamed(body)))

    @operation("POST /v1/completions", stream=True)
    @abstractmethod
    def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        """Go on with one or several texts, piece by piece.

        For every choice: the pieces of its text (after the prompt where `echo` asks), then one chunk with its
        `finish_reason` and an empty text. The choices of prompt number p have the indexes from p × `n`. With
        `stream_options.include_usage` one last chunk has no choices and carries `usage`: each prompt counts once, all
        that was written counts, also the answers that `best_of` drops. All chunks share one id. Errors are those of
        `create`, raised before the first chunk where they can be known by then. A body with `best_of` above `n` comes
        from `create` only: its pieces come when the best are known.
        """

    @internal(optional=True)
    async def count_tokens(self, body: CompletionRequest) -> int:
        """Count the tokens of all prompts of `body`, without generating.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
        """
        raise NotSupported("The chosen completions module does not count tokens.")

    @internal(optional=True)
    async def tokenize(self, body: TokenizeRequest) -> list[Token]:
        """Cut a text into the model's tokens.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
        """
        raise NotSupported("The chosen completions module does not show tokens.")

    @internal(optional=True)
    async def detokenize(self, body: DetokenizeRequest) -> str:
        """Return the text of tokens. Bytes that are no whole character come as `�`.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
            InvalidRequest: a number is not in the model's vocabulary.
        """
        raise NotSupported("The chosen completions module does not show tokens.")
