"""What the conventions for generative AI ask of a span: the request, the answer, its tokens.

Source: OpenTelemetry's semantic conventions for generative AI, "GenAI spans". They are under development there, so
the names stand here, in one place, and not in a library that changes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_tracing_otel import content
from jan_tracing_otel.content import field
from jan_tracing_otel.requests import COMMON
from jan_tracing_otel.spans import Span

if TYPE_CHECKING:
    from jan_tracing_otel.tracing import Tracing

PROVIDER = ("gen_ai.provider.name", "jan")
STREAM = ("gen_ai.request.stream", True)
OPERATIONS = {
    "chat.create": "chat",
    "chat.create_stream": "chat",
    "completions.create": "text_completion",
    "completions.create_stream": "text_completion",
    "embeddings.create": "embeddings",
}
"""The conventions' own names; an operation that they do not know keeps its own."""
_FLOAT = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k"})
_ASKED = {
    **{name: f"gen_ai.request.{name}" for name in _FLOAT},
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
    "dimensions": "gen_ai.embeddings.dimension.count",
    "encoding_format": "gen_ai.request.encoding_formats",
    "response_format": "gen_ai.output.type",
}
"""The attributes that tell what a request asks for, by the request's fields."""
_FIELDS = frozenset(_ASKED)
_FORMATS = {"text": "text", "json_object": "json", "json_schema": "json"}


class Kind:
    """What the inferences of one operation share.

    Args:
        tracing: where their spans go.
        qualified: the operation, such as `chat.create`.
        stream: whether it is answered piece by piece.
        head: further attributes of each span.
    """

    def __init__(self, tracing: Tracing, qualified: str, stream: bool, head: Iterable[tuple[str, Any]]) -> None:
        self.known = qualified in OPERATIONS
        self.operation = OPERATIONS.get(qualified, qualified)
        self.content = tracing.content
        self._stream = stream
        self._head = tuple(head)
        self._encoding = tracing.encoding
        self.common = lru_cache(COMMON)(self._make_common)

    def _make_common(
        self, asked: tuple[tuple[str, Any], ...], answered: str | None, reasons: tuple[str, ...], server: Any
    ) -> bytes:
        pairs: list[tuple[str, Any]] = [*self._head, ("gen_ai.operation.name", self.operation), PROVIDER]
        for name, value in asked:
            if name == "model":
                pairs.append(("gen_ai.request.model", value))
            elif name in _FLOAT:
                pairs.append((_ASKED[name], float(value)))
            elif name == "response_format":
                pairs.append((_ASKED[name], _FORMATS.get(value, value)))
            elif name == "encoding_format":
                pairs.append((_ASKED[name], (value,)))
            elif name != "n" or value != 1:
                pairs.append((_ASKED[name], value))
        if self._stream:
            pairs.append(STREAM)
        if answered is not None:
            pairs.append(("gen_ai.response.model", answered))
        if reasons:
            pairs.append(("gen_ai.response.finish_reasons", reasons))
        if server is not None:
            pairs.append(("server.address", server[0]))
            if server[1] is not None:
                pairs.append(("server.port", server[1]))
        return self._encoding.attributes(pairs)


class Inference:
    """One answer of a model, noted while it is made.

    Args:
        kind: what it shares with others.
        body: the request, which names a model.
    """

    __slots__ = (
        "_answer",
        "_asked",
        "_body",
        "_first",
        "_id",
        "_kind",
        "_model",
        "_reasons",
        "_tokens",
        "_usage",
        "_wrote",
    )

    def __init__(self, kind: Kind, body: Any) -> None:
        self._kind = kind
        self._body = body
        self._answer = content.Answer() if kind.content else None
        self._id: str | None = None
        self._model: str | None = None
        self._usage: Any = None
        self._reasons: dict[int, str] = {}
        self._first = 0
        self._wrote = False

    def reply(self, reply: Any) -> None:
        """Note a whole reply."""
        self._of(reply)
        self._usage = field(reply, "usage")
        self._wrote = True  # all at once: there is no first piece
        self._choices(field(reply, "choices") or ())

    def chunk(self, event: Any) -> bool:
        """Note a piece of a reply; True for the first that holds something of the answer itself."""
        if not self._first:
            self._first = time.time_ns()
            self._of(event)
        elif self._wrote and self._answer is None:
            # Most pieces come this way, so it is the short one: they matter only where they end something.
            for choice in field(event, "choices") or ():
                if (reason := field(choice, "finish_reason")) is not None:
                    self._reasons[choice.index] = reason
            if (usage := field(event, "usage")) is not None:
                self._usage = usage
            return False
        self._usage = field(event, "usage") or self._usage
        return self._choices(field(event, "choices") or ())

    def _of(self, reply: Any) -> None:
        """Keep of a reply what is told, and not the reply: it is large."""
        self._id, self._model = field(reply, "id"), field(reply, "model")

    def _choices(self, choices: Iterable[Any]) -> bool:
        began = False
        for choice in choices:
            reason = field(choice, "finish_reason")
            if reason is not None:
                self._reasons[choice.index] = reason
            if not self._wrote and content.says(choice):
                self._wrote = began = True
            if self._answer is not None:
                self._answer.add(choice)
        return began

    def settle(self, span: Span) -> None:
        """Take what the span needs of the request and of its call, which are let go; the rest is told by `describe`."""
        kind, body = self._kind, self._body
        if not kind.known and self._usage is None:  # it only names a model, as the making of an assistant does
            span.attributes["gen_ai.request.model"] = body.model
            return
        self._asked = _asked(body)
        self._tokens = None
        if self._usage is None and (context := call.current()) is not None:
            # A stream tells its usage only to those who ask; the engine has told the call in any case.
            self._tokens = context.prompt_tokens, context.completion_tokens
        if self._answer is not None:
            span.attributes.update(content.asked(body))
            span.attributes.update(self._answer.told(self._reasons))
        self._body = None
        span.late = self.describe

    def describe(self, span: Span) -> None:
        """Write what was noted into the operation's span."""
        kind, told, reasons = self._kind, span.attributes, self._reasons
        span.name = f"{kind.operation} {self._asked[0][1]}"
        span.common = kind.common(
            self._asked,
            self._model,
            tuple(reasons.values()) if len(reasons) < 2 else tuple(reasons[at] for at in sorted(reasons)),
            span.server,
        )
        if self._id is not None:
            told["gen_ai.response.id"] = self._id
        if self._first:
            told["gen_ai.response.time_to_first_chunk"] = (self._first - span.began) / 1e9
        self._count(told)

    def _count(self, told: dict[str, Any]) -> None:
        usage = self._usage
        read, written = self._tokens or (None, None)
        if usage is not None:
            read, written = field(usage, "prompt_tokens"), field(usage, "completion_tokens")
            details = field(usage, "prompt_tokens_details")
            cached = field(details, "cached_tokens") if details is not None else None
            if cached is not None:
                told["gen_ai.usage.cache_read.input_tokens"] = cached
            details = field(usage, "completion_tokens_details")
            thought = field(details, "reasoning_tokens") if details is not None else None
            if thought is not None:
                told["gen_ai.usage.reasoning.output_tokens"] = thought
        if read is not None:
            told["gen_ai.usage.input_tokens"] = read
        if written is not None:
            told["gen_ai.usage.output_tokens"] = written


def _asked(body: Any) -> tuple[tuple[str, Any], ...]:
    """What a request asks for, as far as it says so and the conventions have a name for it."""
    given = vars(body)
    found = [("model", body.model)]
    for name in body.__pydantic_fields_set__ & _FIELDS:
        value = given[name]
        if value is not None:
            found.append((name, getattr(value, "type", "") if name == "response_format" else value))
    return tuple(found)
