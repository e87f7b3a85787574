"""From the pieces that the engine writes to the chunks that the caller reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jan_llamacpp.sampling import engine_error

from jan_completions_llamacpp.request import Round, place, written
from jan_completions_llamacpp.tokens import Tokens
from jan_core import call
from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.common import PromptTokensDetails
from jan_core.schemas.completions import CompletionChunk, CompletionLogprobs, CompletionUsage

if TYPE_CHECKING:
    from jan_core.schemas.completions import CompletionRequest


class Answer:
    """Turns the engine's pieces into chunks, and counts.

    Args:
        body: the request.
        echoes: what each prompt's answers begin with.
        context: where the tokens are reported to.
    """

    def __init__(self, body: CompletionRequest, echoes: list[str], context: call.Call | None) -> None:
        self._head: dict[str, Any] = {
            "id": new_id("cmpl-"),
            "created": now(),
            "model": body.model,
            "system_fingerprint": "llamacpp",
        }
        self._body = body
        self._echoes = echoes
        self._given = body.n or 1
        self._chooses = written(body) > self._given
        self._context = context
        self._tokens: dict[tuple[int, int], Tokens] = {}
        self._kept: dict[tuple[int, int], list[CompletionChunk]] = {}
        self._finished: set[tuple[int, int]] = set()
        self._prompts: dict[int, tuple[int, int | None]] = {}
        self._pieces = 0
        self.completion_tokens = 0

    def begin(self) -> Iterator[CompletionChunk]:
        """The prompts, where they are to be said again."""
        for prompt, text in enumerate(self._echoes):
            for number in range(self._given if text else 0):
                yield self._chunk(prompt * self._given + number, text)

    def chunks(self, piece: dict[str, Any] | None, part: Round) -> Iterator[CompletionChunk]:
        """The chunks of one piece of a round.

        Raises:
            ContextLengthExceeded, InvalidRequest, EngineError: the piece is an error.
        """
        if not piece:
            return
        if "error" in piece:
            raise engine_error(piece["error"], "The prompt is", place(self._body, part.prompts[0]))
        for choice in piece.get("choices", ()):
            prompt = part.prompts[choice["index"] // part.choices]
            number = part.first + choice["index"] % part.choices
            if usage := piece.get("usage"):
                self._count(prompt, usage)
            made = self._choice(prompt, number, choice)
            if self._chooses:
                self._kept.setdefault((prompt, number), []).extend(made)
                yield from self._best(prompt)
            else:
                yield from made
        if self._context is not None:  # as far as is known, should the caller leave now
            self._context.completion_tokens = max(self._pieces, self.completion_tokens)

    def without_tokens(self, read: int) -> Iterator[CompletionChunk]:
        """The end of answers that are to have no token; `read` is how many the prompts have."""
        self._prompts[0] = (read, None)
        for index in range(len(self._echoes) * self._given):
            yield self._chunk(index, "", None, "length")

    def check(self) -> None:
        """Raise where the engine ended without finishing every choice."""
        if len(self._finished) != len(self._echoes) * written(self._body):
            raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")

    def last(self) -> CompletionChunk:
        """The chunk that carries `usage`."""
        read = sum(tokens for tokens, _ in self._prompts.values())
        cached = [count for _, count in self._prompts.values() if count is not None]
        usage = CompletionUsage(
            prompt_tokens=read,
            completion_tokens=self.completion_tokens,
            total_tokens=read + self.completion_tokens,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=sum(cached)) if cached else None,
        )
        return CompletionChunk(**self._head, choices=[], usage=usage)

    def _choice(self, prompt: int, number: int, choice: dict[str, Any]) -> list[CompletionChunk]:
        """What is new of one answer, under the number it has if none is dropped."""
        key = (prompt, number)
        tokens = self._tokens.get(key)
        if tokens is None:
            tokens = self._tokens[key] = Tokens(self._body.logprobs, len(self._echoes[prompt]))
        index = prompt * self._given + number
        text, reason = choice["text"], choice["finish_reason"]
        logprobs = tokens.add(choice.get("logprobs"), text)
        made = []
        if text:
            self._pieces += 1
            made.append(self._chunk(index, text, logprobs))
        if reason:
            self._finished.add(key)
            made.append(self._chunk(index, "", None, reason))
        return made

    def _best(self, prompt: int) -> Iterator[CompletionChunk]:
        """The likeliest answers to a prompt, the likeliest first, once all are written."""
        keys = [(prompt, number) for number in range(written(self._body))]
        if not self._finished.issuperset(keys):
            return
        keys.sort(key=lambda key: self._tokens[key].mean, reverse=True)
        for number, key in enumerate(keys[: self._given]):
            for chunk in self._kept[key]:
                chunk.choices[0].index = prompt * self._given + number
                yield chunk
        for key in keys:
            del self._kept[key]

    def _chunk(
        self, index: int, text: str, logprobs: CompletionLogprobs | None = None, reason: str | None = None
    ) -> CompletionChunk:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return CompletionChunk.of_values({**self._head, "choices": [choice]})

    def _count(self, prompt: int, usage: dict[str, Any]) -> None:
        """Every choice reports its own: each prompt counts once, as OpenAI counts it, the answers add up."""
        if prompt not in self._prompts:
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
            self._prompts[prompt] = (usage["prompt_tokens"], cached)
        self.completion_tokens += usage["completion_tokens"]
        if self._context is not None:
            self._context.prompt_tokens = sum(tokens for tokens, _ in self._prompts.values())
            self._context.completion_tokens = self.completion_tokens
