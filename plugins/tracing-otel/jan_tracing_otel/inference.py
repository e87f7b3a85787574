"""What the conventions for generative AI ask of a span: the request, the answer, its tokens.

Source: OpenTelemetry's semantic conventions for generative AI, "GenAI spans". They are under development there, so
the names stand here, in one place, and not in a library that changes them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from time import time_ns
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_tracing_otel.content import Answer, asked, field, says
from jan_tracing_otel.requests import COMMON
from jan_tracing_otel.sending import SLICE, log
from jan_tracing_otel.spans import Span

if TYPE_CHECKING:
    from jan_core.endpoint import Operation
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
_DETAILS = (
    ("prompt_tokens_details", "cached_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("completion_tokens_details", "reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
)
"""What a usage says besides, and the attributes for it."""
_NOTHING: Mapping[str, Any] = {}
_NO_FIELDS: Set[str] = frozenset()
_NOWHERE: int = sys.maxsize
"""The place of an argument that an operation does not have: behind all others."""
_FORMATS = {"text": "text", "json_object": "json", "json_schema": "json"}


class Kind:
    """What the spans of one operation share.

    Args:
        tracing: where they go.
        operation: the operation.

    Attributes:
        name: of a span as long as nothing is known of a model's answer, such as `chat.create`.
        attributes: its attributes then, encoded.
        content: whether what people write is noted.
    """

    def __init__(self, tracing: Tracing, operation: Operation) -> None:
        self.name = operation.qualified
        self.content = tracing.content
        self._head = (("jan.endpoint", operation.endpoint.name), ("jan.operation", operation.name))
        self.attributes = (tracing.encoding.attributes(self._head),)
        self._body = _place("body", operation)
        self._thread = _place("thread_id", operation)
        self._known = self.name in OPERATIONS
        self._operation = OPERATIONS.get(self.name, self.name)
        self._stream = operation.stream
        self._encoding = tracing.encoding
        self._fresh, self._write = tracing.sender.fresh, tracing.sender.write
        self._late, self._late_of_model = self._name, self._describe
        self._common = lru_cache(COMMON)(self._make_common)
        self._counted = lru_cache(4 * COMMON)(self._make_counted)
        self._told = False

    def asks(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
        """Whether what the operation is called with names a model."""
        place = self._body
        body = arguments[place] if place < len(arguments) else named.get("body")
        return isinstance(getattr(body, "__dict__", _NOTHING).get("model"), str)

    def end(
        self,
        span: Span,
        arguments: tuple[Any, ...],
        named: Mapping[str, Any],
        told: Mapping[str, Any],
        pieces: Pieces | None = None,
    ) -> None:
        """Hand in a span that is over, with what the model's answer says; never raises.

        Neither request nor reply is kept beyond this: they are large. All of it is one function, since each one that a
        request comes through costs it two or three microseconds.

        Args:
            span: the span.
            arguments: what the operation was called with, by position.
            named: the rest.
            told: the reply's fields; none where there is no reply.
            pieces: the reply that came in pieces, if one did.
        """
        span.late = self._late
        try:
            if (place := self._thread) != _NOWHERE:
                thread_id = arguments[place] if place < len(arguments) else named.get("thread_id")
                if thread_id is not None:
                    span.attributes["gen_ai.conversation.id"] = thread_id
            place = self._body
            body = arguments[place] if place < len(arguments) else named.get("body")
            model = getattr(body, "__dict__", _NOTHING).get("model")
            if isinstance(model, str):
                if pieces is not None:
                    told = pieces.told
                usage = told.get("usage")
                if self._known or usage is not None:
                    fields = getattr(body, "__pydantic_fields_set__", _NO_FIELDS)
                    wanted = () if _FIELDS.isdisjoint(fields) else _wanted(body, fields)
                    if pieces is not None:
                        first, reasons = pieces.first, _in_order(pieces.reasons)
                    else:
                        choices: Sequence[Any] = told.get("choices") or ()
                        one = choices[0].finish_reason if len(choices) == 1 else None
                        first, reasons = 0, _in_order(_reasons(choices)) if one is None else (one,)
                    tokens = None
                    if usage is None and (context := call.current()) is not None:
                        # A stream tells its usage only to those who ask; the engine has told the call in any case.
                        tokens = context.prompt_tokens, context.completion_tokens
                    if self.content:
                        self._say(span, body, told, pieces)
                    span.kind_of = model, wanted, told.get("id"), told.get("model"), usage, tokens, reasons, first
                    span.late = self._late_of_model
                else:  # it only names a model, as the making of an assistant does
                    span.attributes["gen_ai.request.model"] = model
        except Exception as error:
            self.puzzled(error)
        span.ended = time_ns()
        self._fresh.append(span)
        if len(self._fresh) >= SLICE:
            self._write()

    def puzzled(self, error: Exception) -> None:
        """Say once that requests or replies of this operation are of another make than any that is known."""
        if not self._told:
            self._told = True
            log.warning("spans of %s say little: %s: %s", self.name, type(error).__name__, error)

    def _say(self, span: Span, body: Any, told: Mapping[str, Any], pieces: Pieces | None) -> None:
        """Add what was asked and answered."""
        answer = None if pieces is None else pieces.answer
        choices = told.get("choices") or ()
        if answer is None:
            answer = Answer()
            for choice in choices:
                answer.add(choice)
        span.attributes.update(asked(body))
        span.attributes.update(answer.told(_reasons(choices) if pieces is None else pieces.reasons))

    def _name(self, span: Span) -> None:
        """Write into a span what it is as long as nothing is known of a model's answer."""
        span.name, span.common = self.name, self.attributes

    def _describe(self, span: Span) -> None:
        """Write what was noted into a span."""
        span.name, span.common = self.name, self.attributes
        asked_for, wanted, identity, model, usage, tokens, reasons, first = span.kind_of
        told = span.attributes
        span.name = f"{self._operation} {asked_for}"
        if identity is not None:
            told["gen_ai.response.id"] = identity
        if first:
            told["gen_ai.response.time_to_first_chunk"] = (first - span.began) / 1e9
        read, written = tokens or (None, None)
        if usage is not None:
            counted = vars(usage).get
            read, written = counted("prompt_tokens"), counted("completion_tokens")
            for details, name, attribute in _DETAILS:
                if (detail := counted(details)) is not None and (count := field(detail, name)) is not None:
                    told[attribute] = count
        common = self._common(asked_for, wanted, model, reasons, span.server)
        span.common = common, self._counted(read, written)

    def _make_counted(self, read: int | None, written: int | None) -> bytes:
        pairs = (("gen_ai.usage.input_tokens", read), ("gen_ai.usage.output_tokens", written))
        return self._encoding.attributes([(name, count) for name, count in pairs if count is not None])

    def _make_common(
        self,
        asked_for: str,
        wanted: tuple[tuple[str, Any], ...],
        answered: str | None,
        reasons: tuple[str, ...],
        server: Any,
    ) -> bytes:
        pairs: list[tuple[str, Any]] = [*self._head, ("gen_ai.operation.name", self._operation), PROVIDER]
        pairs.append(("gen_ai.request.model", asked_for))
        for name, value in wanted:
            if name in _FLOAT:
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


def _place(name: str, operation: Operation) -> int:
    """The place of an argument among those of an operation."""
    return operation.arguments.index(name) if name in operation.arguments else _NOWHERE


def _wanted(body: Any, given: Set[str]) -> tuple[tuple[str, Any], ...]:
    """What a request asks for besides a model, by the request's fields."""
    values = body.__dict__
    return tuple(
        (name, getattr(value, "type", "") if name == "response_format" else value)
        for name in _FIELDS.intersection(given)
        if (value := values[name]) is not None
    )


def _reasons(choices: Iterable[Any]) -> dict[int, str]:
    """Why each choice ended that has, by its index."""
    return {choice.index: choice.finish_reason for choice in choices if choice.finish_reason is not None}


def _in_order(reasons: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(reasons.values()) if len(reasons) < 2 else tuple(reasons[at] for at in sorted(reasons))


class Pieces:
    """One answer of a model that comes in pieces, noted while it is made.

    Args:
        content: whether what is said is kept.

    Attributes:
        told: what is known of the whole reply: `id`, `model`, `usage`.
        reasons: why each choice ended, as far as they have.
        first: when the first piece came, in nanoseconds since 1970; 0 before.
        answer: what was said, where it is kept.
    """

    __slots__ = ("_wrote", "answer", "first", "reasons", "told")

    def __init__(self, *, content: bool) -> None:
        self.answer = Answer() if content else None
        self.told: dict[str, Any] = {}
        self.reasons: dict[int, str] = {}
        self.first = 0
        self._wrote = False

    def add(self, event: Any) -> bool:
        """Note a piece; True for the first that holds something of the answer itself."""
        if not self.first:
            self.first = time_ns()
            self.told = {"id": field(event, "id"), "model": field(event, "model")}
        elif self._wrote and self.answer is None:
            # Most pieces come this way, so it is the short one: they matter only where they end something.
            for choice in field(event, "choices") or ():
                if (reason := field(choice, "finish_reason")) is not None:
                    self.reasons[choice.index] = reason
            if (usage := field(event, "usage")) is not None:
                self.told["usage"] = usage
            return False
        if (usage := field(event, "usage")) is not None:
            self.told["usage"] = usage
        began = False
        for choice in field(event, "choices") or ():
            reason = field(choice, "finish_reason")
            if reason is not None:
                self.reasons[choice.index] = reason
            if not self._wrote and says(choice):
                self._wrote = began = True
            if self.answer is not None:
                self.answer.add(choice)
        return began
