"""From the pieces that the engine writes to the chunks that the caller reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jan_llamacpp.sampling import engine_error
from pydantic_core import from_json

from jan_chat_llamacpp.call_text import CallReader, Said
from jan_chat_llamacpp.form import PLAIN, Form
from jan_chat_llamacpp.logprobs import token_logprobs
from jan_chat_llamacpp.request import what_of
from jan_chat_llamacpp.thoughts import ThoughtReader
from jan_core import call
from jan_core.errors import EngineError
from jan_core.ids import new_id, now
from jan_core.schemas.chat import ChatCompletionChunk, CompletionUsage
from jan_core.schemas.common import PromptTokensDetails


@dataclass
class _Choice:
    """What has come of one answer."""

    reader: CallReader | None
    thoughts: ThoughtReader | None
    calls: int = 0
    arguments: str = ""
    """Of the last call."""
    tokens: list[dict[str, Any]] = field(default_factory=list)
    """Logprobs of tokens whose text is not told yet."""


class Answer:
    """Turns the engine's pieces into chunks, and counts.

    Args:
        model: the id the caller asked for.
        context: where the tokens are reported to.
        form: what the answers look like.
        top_logprobs: how many alternatives are told for each token; None where no logprobs are.
        stops: whether stop strings may end the answers.
        blamed: the field that is at fault where the prompt is too long.
    """

    def __init__(
        self,
        model: str,
        context: call.Call | None,
        form: Form = PLAIN,
        top_logprobs: int | None = None,
        *,
        stops: bool = False,
        blamed: str = "messages",
    ) -> None:
        self._head: dict[str, Any] = {
            "id": new_id("chatcmpl-", 29),
            "created": now(),
            "model": model,
            "system_fingerprint": "llamacpp",
        }
        self._context = context
        self._form = form
        self._top = top_logprobs
        self._stops = stops
        self._blamed = blamed
        self._plain = form == PLAIN and top_logprobs is None
        self._choices: dict[int, _Choice] = {}
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._prompt = 0
        self._cached: int | None = None
        self._written = 0
        self._pieces = 0

    def chunks(self, piece: dict[str, Any], first: int) -> list[ChatCompletionChunk]:
        """The chunks of one piece; `first` is how many choices earlier rounds gave.

        Raises:
            ContextLengthExceeded, InvalidRequest, EngineError: the piece is an error.
        """
        if "error" in piece:
            raise engine_error(piece["error"], what_of(self._blamed), self._blamed)
        if usage := piece.get("usage"):
            self._count(usage)
        found: list[ChatCompletionChunk] = []
        for choice in piece.get("choices", ()):
            index = choice["index"] + first
            delta, reason = choice["delta"], choice["finish_reason"]
            text, thought = delta.get("content"), delta.get("reasoning_content")
            if index not in self._begun and (text or thought or reason or len(delta) > 2):
                self._begun.add(index)
                found.append(self._chunk(index, {"role": "assistant", "content": ""}))
            if thought:
                self._pieces += 1
                found.append(self._chunk(index, {"reasoning_content": thought}))
            if self._plain:
                if text:
                    self._pieces += 1
                    found.append(self._chunk(index, {"content": text}))
            else:
                self._read(index, choice, found)
                if reason:
                    reason = self._end(index, reason, found)
            if reason:
                self._finished.add(index)
                found.append(self._chunk(index, {}, reason))
        if self._context is not None and self._pieces > self._written:
            self._context.completion_tokens = self._pieces  # as far as is known, should the caller leave now
        return found

    def check(self, wanted: int) -> None:
        """Raise where the engine ended without finishing every choice."""
        if len(self._finished) != wanted:
            raise EngineError("The engine ended its answer without saying why it stopped.", code="incomplete_answer")

    def last(self) -> ChatCompletionChunk:
        """The chunk that carries `usage`."""
        details = None if self._cached is None else PromptTokensDetails(cached_tokens=self._cached)
        usage = CompletionUsage(
            prompt_tokens=self._prompt,
            completion_tokens=self._written,
            total_tokens=self._prompt + self._written,
            prompt_tokens_details=details,
        )
        return ChatCompletionChunk(**self._head, choices=[], usage=usage)

    def _read(self, index: int, choice: dict[str, Any], found: list[ChatCompletionChunk]) -> None:
        """Add the chunks of one choice of a piece, where there is more in it than text."""
        state = self._choices.get(index)
        if state is None:
            forced = self._form.calling.mode == "required"
            own = CallReader(forced=forced) if self._form.reader == "own" else None
            thinks = self._form.thoughts
            thoughts = ThoughtReader(opened=thinks == "must") if thinks != "none" else None
            state = self._choices[index] = _Choice(own, thoughts)
        delta = choice["delta"]
        text = delta.get("content") or ""
        self._pieces += bool(text or delta.get("tool_calls"))
        if self._top is not None and not delta.get("reasoning_content") and not state.calls:
            state.tokens += token_logprobs(choice.get("logprobs"), self._top)
        if state.thoughts is not None:
            thought, text = state.thoughts.feed(text)
            if thought:
                found.append(self._chunk(index, {"reasoning_content": thought}))
            if not state.thoughts.answering:
                state.tokens = []
        self._tell(index, state, text, found)
        for told in delta.get("tool_calls") or ():
            function = told.get("function") or {}
            if told["index"] >= self._form.calling.most:
                continue
            if function.get("name"):
                self._say(index, state, Said("name", function["name"]), found)
            if function.get("arguments"):
                self._say(index, state, Said("arguments", function["arguments"]), found)

    def _tell(self, index: int, state: _Choice, text: str, found: list[ChatCompletionChunk]) -> None:
        """Add the chunks of text in which there may be calls."""
        if text:
            for said in state.reader.feed(text) if state.reader is not None else [Said("text", text)]:
                self._say(index, state, said, found)

    def _say(self, index: int, state: _Choice, said: Said, found: list[ChatCompletionChunk]) -> None:
        text = said.text
        if said.kind == "text":
            tokens, state.tokens = state.tokens, []
            found.append(self._chunk(index, {"content": text}, tokens=tokens))
            return
        older = self._form.calling.older
        if said.kind == "name":
            state.calls += 1
            state.arguments = ""
            state.tokens = []
            function = {"name": text, "arguments": ""}
            begun = {"index": state.calls - 1, "id": new_id("call_", 24), "type": "function", "function": function}
            found.append(self._chunk(index, {"function_call": function} if older else {"tool_calls": [begun]}))
        else:
            state.arguments += text
            function = {"arguments": text}
            more = {"index": state.calls - 1, "function": function}
            found.append(self._chunk(index, {"function_call": function} if older else {"tool_calls": [more]}))

    def _end(self, index: int, reason: str, found: list[ChatCompletionChunk]) -> str:
        """Tell what was held back; returns why the answer ended, in the API's words."""
        state = self._choices[index]
        if state.thoughts is not None:
            thought, text = state.thoughts.end()
            if thought:
                found.append(self._chunk(index, {"reasoning_content": thought}))
            self._tell(index, state, text, found)
        if state.calls and self._stops and not _is_json(state.arguments):
            reason = "length"  # a stop string has cut the call: nobody must take it for a whole one
        if state.reader is not None:
            if state.reader.within:
                reason = "length"  # so it has here, within its name
            for said in state.reader.end(cut=self._stops or reason == "length"):
                self._say(index, state, said, found)
        if state.calls and reason in ("stop", "tool_calls"):
            return "function_call" if self._form.calling.older else "tool_calls"
        return "stop" if reason == "tool_calls" else reason

    def _chunk(self, index: int, delta: dict[str, Any], reason: Any = None, tokens: Any = None) -> ChatCompletionChunk:
        # One validation of the whole, not one each of delta, choice and chunk: a third less time an event.
        choice = {"index": index, "delta": delta, "finish_reason": reason}
        if tokens:
            choice["logprobs"] = {"content": tokens, "refusal": None}
        return ChatCompletionChunk.of_values({**self._head, "choices": [choice]})

    def _count(self, usage: dict[str, Any]) -> None:
        """Every choice reports its own: the prompt counts once, as OpenAI counts it, the answers add up."""
        self._prompt = usage["prompt_tokens"]
        self._written += usage["completion_tokens"]
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        if cached is not None and self._cached is None:
            self._cached = cached
        if self._context is not None:
            self._context.prompt_tokens = self._prompt
            self._context.completion_tokens = self._written


def _is_json(text: str) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True
