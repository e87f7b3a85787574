"""What the conventions for generative AI ask of a span: the request, the answer, its tokens.

Source: OpenTelemetry's semantic conventions for generative AI, "GenAI spans". They are under development there, so
the names stand here, in one place, and not in a library that changes them.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        self.attributes = tracing.encoding.attributes(self._head)
        self._body = operation.arguments.index("body") if "body" in operation.arguments else None
        self._thread = operation.arguments.index("thread_id") if "thread_id" in operation.arguments else None
        self._known = self.name in OPERATIONS
        self._operation = OPERATIONS.get(self.name, self.name)
        self._stream = operation.stream
        self._encoding = tracing.encoding
        self._fresh, self._write = tracing.sender.fresh, tracing.sender.write
        self._late = self._describe
        self._common = lru_cache(COMMON)(self._make_common)
        self._told = False

    def asks(self, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
        """Whether what the operation is called with names a model."""
        place = self._body
        if place is None:
            return False
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
        try:
            if (place := self._thread) is not None:
                thread_id = arguments[place] if place < len(arguments) else named.get("thread_id")
                if thread_id is not None:
                    span.attributes["gen_ai.conversation.id"] = thread_id
            told = told if pieces is None else pieces.told
            place, usage = self._body, told.get("usage")
            body = None if place is None else arguments[place] if place < len(arguments) else named.get("body")
            given = getattr(body, "__dict__", _NOTHING)
            model = given.get("model")
            if not isinstance(model, str):
                pass
            elif usage is None and not self._known:  # it only names a model, as the making of an assistant does
                span.attributes["gen_ai.request.model"] = model
            else:
                wanted: list[tuple[str, Any]] = [("model", model)]
                for name in _FIELDS.intersection(getattr(body, "__pydantic_fields_set__", ())):
                    value = given[name]
                    if value is not None:
                        wanted.append((name, getattr(value, "type", "") if name == "response_format" else value))
                reasons: dict[int, str] = {}
                if pieces is not None:
                    reasons = pieces.reasons
                else:
                    for choice in told.get("choices") or ():
                        if choice.finish_reason is not None:
                            reasons[choice.index] = choice.finish_reason
                tokens = None
                if usage is None and (context := call.current()) is not None:
                    # A stream tells its usage only to those who ask; the engine has told the call in any case.
                    tokens = context.prompt_tokens, context.completion_tokens
                if self.content:
                    self._say(span, body, told, reasons, pieces)
                first = 0 if pieces is None else pieces.first
                span.kind_of = tuple(wanted), told.get("id"), told.get("model"), usage, tokens, reasons, first
                span.late = self._late
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

    def _say(
        self,
        span: Span,
        body: Any,
        told: Mapping[str, Any],
        reasons: Mapping[int, str],
        pieces: Pieces | None,
    ) -> None:
        """Add what was asked and answered."""
        answer = None if pieces is None else pieces.answer
        if answer is None:
            answer = Answer()
            for choice in told.get("choices") or ():
                answer.add(choice)
        span.attributes.update(asked(body))
        span.attributes.update(answer.told(reasons))

    def _describe(self, span: Span) -> None:
        """Write what was noted into a span."""
        wanted, identity, model, usage, tokens, reasons, first = span.kind_of
        told = span.attributes
        span.name = f"{self._operation} {wanted[0][1]}"
        ordered = tuple(reasons.values()) if len(reasons) < 2 else tuple(reasons[at] for at in sorted(reasons))
        span.common = self._common(wanted, model, ordered, span.server)
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
        if read is not None:
            told["gen_ai.usage.input_tokens"] = read
        if written is not None:
            told["gen_ai.usage.output_tokens"] = written

    def _make_common(
        self, wanted: tuple[tuple[str, Any], ...], answered: str | None, reasons: tuple[str, ...], server: Any
    ) -> bytes:
        pairs: list[tuple[str, Any]] = [*self._head, ("gen_ai.operation.name", self._operation), PROVIDER]
        for name, value in wanted:
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
