"""The chunks of a chat stream, folded into the one reply they add up to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from jan_core.gathering import gathered
from jan_core.schemas.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    Choice,
    FunctionCall,
    Logprobs,
    ResponseMessage,
    StreamOptions,
)
from jan_core.schemas.chat.reply import CalledFunction, FinishReason


def streamed(body: ChatCompletionRequest) -> ChatCompletionRequest:
    """The same request as a stream that also tells its usage."""
    return body.model_copy(update={"stream": True, "stream_options": StreamOptions(include_usage=True)})


@dataclass
class _Folded:
    """What has arrived of one choice."""

    content: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    older_call: CalledFunction | None = None
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None

    def add(self, choice: Any) -> None:
        delta = choice.delta
        if delta.content:
            self.content.append(delta.content)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.reasoning_content:
            self.reasoning.append(delta.reasoning_content)
        if (one := delta.function_call) is not None:
            told = self.older_call or CalledFunction(name="", arguments="")
            name, arguments = told.name + (one.name or ""), told.arguments + (one.arguments or "")
            self.older_call = CalledFunction(name=name, arguments=arguments)
        for piece in delta.tool_calls or ():
            call = self.calls.setdefault(piece.index, {"id": "", "name": "", "arguments": ""})
            call["id"] = piece.id or call["id"]
            if piece.function is not None:
                call["name"] += piece.function.name or ""
                call["arguments"] += piece.function.arguments or ""
        if choice.logprobs is not None:
            if self.logprobs is None:
                self.logprobs = Logprobs(content=[], refusal=None)
            for name in ("content", "refusal"):
                more = getattr(choice.logprobs, name)
                if more:
                    setattr(self.logprobs, name, [*(getattr(self.logprobs, name) or []), *more])
        self.finish_reason = choice.finish_reason or self.finish_reason

    def message(self) -> ResponseMessage:
        calls = [
            FunctionCall(
                id=call["id"], type="function", function=CalledFunction(name=call["name"], arguments=call["arguments"])
            )
            for _, call in sorted(self.calls.items())
        ]
        content = "".join(self.content)
        return ResponseMessage(
            role="assistant",
            content=content if content or not (calls or self.older_call) else None,
            refusal="".join(self.refusal) or None,
            tool_calls=list(calls) or None,
            function_call=self.older_call,
            reasoning_content="".join(self.reasoning) or None,
            annotations=[],  # clients read the list without asking whether it is there
        )


async def fold_chat(chunks: AsyncIterator[ChatCompletionChunk]) -> ChatCompletion:
    """Read a stream to its end and return the reply it amounts to; the stream is closed in every case.

    Raises:
        EngineError: the stream ended without a chunk, or a choice without its `finish_reason`.
    """
    first, usage, choices = await gathered(chunks, _Folded)
    return ChatCompletion(
        id=first.id,
        created=first.created,
        model=first.model,
        system_fingerprint=first.system_fingerprint,
        service_tier=first.service_tier,
        usage=usage,
        choices=[
            Choice(
                index=index,
                message=folded.message(),
                finish_reason=folded.finish_reason or "stop",
                logprobs=folded.logprobs,
            )
            for index, folded in choices
        ],
    )
