"""`/v1/chat/completions`: a model answers a conversation.

Source of the shapes: OpenAI's API reference, resource "Chat Completions".
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.chat import (
        ChatCompletion,
        ChatCompletionChunk,
        ChatCompletionDeleted,
        ChatCompletionList,
        ChatCompletionMessageList,
        ChatCompletionMessagesQuery,
        ChatCompletionRequest,
        ChatCompletionsQuery,
        ChatCompletionUpdate,
    )


class Chat(Endpoint):
    """Chat completions.

    An implementation writes `create_stream`; `create` folds it. Prompts are never cut: what does not fit the model's
    context is refused with `context_length_exceeded`. When the caller goes away, the iterator is closed, and closing
    it ends the generation. What an implementation cannot do (`tools`, `logprobs`, …) it refuses with `NotSupported`,
    naming the field.
    """

    name: ClassVar[str] = "chat"
    schemas: ClassVar[str] = "jan_core.schemas.chat"
    several: ClassVar[bool] = True

    @operation("POST /v1/chat/completions")
    async def create(self, body: ChatCompletionRequest) -> ChatCompletion:
        """Answer a conversation in one reply.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
            ContextLengthExceeded: prompt and answer do not fit the model's context.
            NotSupported: the module or the model cannot do what `param` asks for.
            Busy: too many requests wait for this model already; carries `Retry-After`.
            EngineError: the engine failed; the next request may succeed.
        """
        from jan_core.folding import fold_chat, streamed

        return await fold_chat(self.create_stream(streamed(body)))

    @operation("POST /v1/chat/completions", stream=True)
    @abstractmethod
    def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        """Answer a conversation piece by piece.

        For every choice: first a chunk with `role: assistant`, then the pieces of the answer, then one chunk with its
        `finish_reason` and an empty delta. With `stream_options.include_usage` one last chunk has no choices and
        carries `usage`. All chunks share one id. Errors are those of `create`, raised before the first chunk where
        they can be known by then.
        """

    @operation("GET /v1/chat/completions", optional=True)
    async def list(self, query: ChatCompletionsQuery) -> ChatCompletionList:
        """List the completions kept with `store: true`, page by page."""
        raise NotSupported("The chosen chat module keeps no completions.")

    @operation("GET /v1/chat/completions/{completion_id}", optional=True)
    async def retrieve(self, completion_id: str) -> ChatCompletion:
        """Return a kept completion."""
        raise NotSupported("The chosen chat module keeps no completions.")

    @operation("POST /v1/chat/completions/{completion_id}", optional=True)
    async def update(self, completion_id: str, body: ChatCompletionUpdate) -> ChatCompletion:
        """Replace the metadata of a kept completion."""
        raise NotSupported("The chosen chat module keeps no completions.")

    @operation("DELETE /v1/chat/completions/{completion_id}", optional=True)
    async def delete(self, completion_id: str) -> ChatCompletionDeleted:
        """Forget a kept completion."""
        raise NotSupported("The chosen chat module keeps no completions.")

    @operation("GET /v1/chat/completions/{completion_id}/messages", optional=True)
    async def messages(self, completion_id: str, query: ChatCompletionMessagesQuery) -> ChatCompletionMessageList:
        """List the messages that a kept completion answered, page by page."""
        raise NotSupported("The chosen chat module keeps no completions.")

    @internal
    async def check(self, body: ChatCompletionRequest) -> None:
        """Return where `body` could be answered, as far as that can be told before the model is loaded.

        A module that leaves this alone tells nothing of it.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
            InvalidRequest: as `create`.
        """

    @internal(optional=True)
    async def count_tokens(self, body: ChatCompletionRequest) -> int:
        """Count the tokens of the prompt that `body` becomes, without generating.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
        """
        raise NotSupported("The chosen chat module does not count tokens.")

    @internal(optional=True)
    async def context_length(self, body: ChatCompletionRequest) -> int:
        """Tell how many tokens the prompt and the answer of `body.model` may have together. No engine is asked.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
        """
        raise NotSupported("The chosen chat module does not tell how long a model's context is.")

    @internal(optional=True)
    async def template(self, body: ChatCompletionRequest) -> str:
        """Return the prompt that the conversation becomes by the model's chat template, without generating.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
            InvalidRequest: the template refuses the conversation; the message says why.
        """
        raise NotSupported("The chosen chat module does not show prompts.")
