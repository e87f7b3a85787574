"""The chunks of a stream of completions, folded into the one reply they add up to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from jan_core.gathering import gathered
from jan_core.schemas.completions import (
    Completion,
    CompletionChoice,
    CompletionChunk,
    CompletionChunkChoice,
    CompletionFinishReason,
    CompletionLogprobs,
    CompletionRequest,
    StreamOptions,
)


def streamed(body: CompletionRequest) -> CompletionRequest:
    """The same request as a stream that also tells its usage."""
    return body.model_copy(update={"stream": True, "stream_options": StreamOptions(include_usage=True)})


@dataclass
class _Folded:
    """What has arrived of one choice."""

    text: list[str] = field(default_factory=list)
    logprobs: CompletionLogprobs | None = None
    finish_reason: CompletionFinishReason | None = None

    def add(self, choice: CompletionChunkChoice) -> None:
        if choice.text:
            self.text.append(choice.text)
        self.finish_reason = choice.finish_reason or self.finish_reason
        new = choice.logprobs
        if new is None:
            return
        if self.logprobs is None:
            self.logprobs = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
        self.logprobs.tokens += new.tokens
        self.logprobs.token_logprobs += new.token_logprobs
        self.logprobs.top_logprobs += new.top_logprobs
        self.logprobs.text_offset += new.text_offset


async def fold_completion(chunks: AsyncIterator[CompletionChunk]) -> Completion:
    """Read a stream to its end and return the reply it amounts to; the stream is closed in every case.

    Raises:
        EngineError: the stream ended without a chunk, or a choice without its `finish_reason`.
    """
    first, usage, choices = await gathered(chunks, _Folded)
    return Completion(
        id=first.id,
        created=first.created,
        model=first.model,
        system_fingerprint=first.system_fingerprint,
        usage=usage,
        choices=[
            CompletionChoice(
                index=index,
                text="".join(folded.text),
                logprobs=folded.logprobs,
                finish_reason=folded.finish_reason or "stop",
            )
            for index, folded in choices
        ],
    )
