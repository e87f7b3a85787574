"""Every answer of a model: its tokens, its times, how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.errors import JanError
from jan_metrics_prometheus.measured import ABORTED, NO_REASON, OTHER, REASONS, Measured

if TYPE_CHECKING:
    from jan_core.endpoint import Endpoint, Operation
    from jan_core.hookspecs import Wrapper
    from jan_core.wrapping import Proceed

_OTHER_TEXTS = ("reasoning_content", "tool_calls", "function_call", "refusal")


def wrappers(measured: Measured, endpoint: type[Endpoint]) -> Mapping[str, Wrapper]:
    """Wrappers for the operations of an endpoint that models answer: where the model of a request decides who answers.

    Args:
        measured: where they count.
        endpoint: the class that declares it.
    """
    if not endpoint.several:
        return {}
    return {
        name: _around_stream(measured, operation) if operation.stream else _around(measured, operation)
        for name, operation in endpoint.operations().items()
        if operation.path is not None and "body" in operation.arguments
    }


def _around(measured: Measured, operation: Operation) -> Wrapper:
    at = operation.arguments.index("body")

    async def measure(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        name = _model(arguments[at] if at < len(arguments) else named.get("body"))
        if name is None:
            return await proceed(*arguments, **named)
        answer = Answer(measured, measured.model(name) or await measured.look_up(name))
        try:
            reply = await proceed(*arguments, **named)
        except BaseException as error:
            answer.end(error)
            raise
        answer.look(reply)
        answer.end()
        return reply

    return measure


def _around_stream(measured: Measured, operation: Operation) -> Wrapper:
    at = operation.arguments.index("body")

    async def measure(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        name = _model(arguments[at] if at < len(arguments) else named.get("body"))
        if name is None:
            return await proceed(*arguments, **named)
        answer = Answer(measured, measured.model(name) or await measured.look_up(name))
        try:
            events = await proceed(*arguments, **named)
        except BaseException as error:
            answer.end(error)
            raise
        return Streamed(answer, events)

    return measure


def _model(body: Any) -> str | None:
    """The name of the model that a request asks; None where it asks none."""
    name = vars(body).get("model")
    return name if isinstance(name, str) else None


class Answer:
    """One answer of a model, from now on.

    Args:
        measured: where it is counted.
        model: the label of the model.
    """

    __slots__ = ("_before", "_call", "_model", "_usage", "began", "ended", "measured", "reason")

    def __init__(self, measured: Measured, model: str) -> None:
        self.measured = measured
        self.began = perf_counter()
        self.reason: Any = None
        self.ended = False
        self._model = (model,)
        self._usage: Any = None
        # One request may ask models several times: each time it is told anew what was read and written.
        self._call = context = call.current()
        self._before: tuple[int | None, int | None] = (None, None)
        if context is not None:
            self._before = (context.prompt_tokens, context.completion_tokens)
            context.prompt_tokens = context.completion_tokens = None

    @property
    def model(self) -> tuple[str]:
        """The label of the model."""
        return self._model

    def look(self, told: Any) -> bool:
        """Note how much was read and written, and why it ended, where a reply, or an event of a stream, tells that.

        Returns:
            Whether it brings something that the model wrote. What is of an unknown kind does.
        """
        fields = vars(told)  # a schema that is asked for an attribute it has not takes microseconds to say so
        usage = fields.get("usage")
        if usage is not None:
            self._usage = usage
        choices = fields.get("choices")
        if choices is None:
            return usage is None
        brings = False
        for choice in choices:
            of_choice = vars(choice)
            reason = of_choice.get("finish_reason")
            if reason is not None and self.reason is None:
                self.reason = reason
            if not brings:
                delta = of_choice.get("delta")
                texts = of_choice if delta is None else vars(delta)
                brings = bool(texts.get("content") or texts.get("text")) or any(map(texts.get, _OTHER_TEXTS))
        return brings

    def end(self, error: BaseException | None = None) -> None:
        """Count the answer, once.

        Args:
            error: what ended it; None where it is whole.
        """
        if self.ended:
            return
        self.ended = True
        measured, model = self.measured, self._model
        read, written = self._tokens()
        if read:
            measured.read.add(model, read)
            measured.prompts.of(model).add(read)
        if written:
            measured.written.add(model, written)
            measured.answers.of(model).add(written)
        if error is None:
            reason = NO_REASON if self.reason is None else self.reason if self.reason in REASONS else OTHER
            measured.finished.add((*model, reason))
            measured.whole.of(model).add(perf_counter() - self.began)
        elif isinstance(error, JanError):
            measured.failed.add((*model, measured.error(error.code or error.type)))
        elif isinstance(error, Exception):
            measured.failed.add((*model, measured.error("internal_error")))
        else:
            measured.finished.add((*model, ABORTED))

    def _tokens(self) -> tuple[int | None, int | None]:
        read = getattr(self._usage, "prompt_tokens", None)
        written = getattr(self._usage, "completion_tokens", None)
        context = self._call
        if context is not None:
            read = context.prompt_tokens if read is None else read
            written = context.completion_tokens if written is None else written
            if context.prompt_tokens is None:
                context.prompt_tokens = self._before[0]
            if context.completion_tokens is None:
                context.completion_tokens = self._before[1]
        return read, written


class Streamed:
    """The events of an answer, passed on as they come, and the times at which tokens came.

    Args:
        answer: the answer that they are.
        events: the next layer's.
    """

    __slots__ = ("_answer", "_events", "_last", "_next")

    def __init__(self, answer: Answer, events: AsyncIterator[Any]) -> None:
        self._answer = answer
        self._events = events
        self._next = events.__aiter__().__anext__
        self._last = 0.0

    def __aiter__(self) -> Streamed:
        return self

    async def __anext__(self) -> Any:
        try:
            event = await self._next()
        except StopAsyncIteration:
            self._answer.end()
            raise
        except BaseException as error:
            self._answer.end(error)
            raise
        answer = self._answer
        if answer.look(event):
            now = perf_counter()
            if self._last:
                answer.measured.between.of(answer.model).add(now - self._last)
            else:
                answer.measured.first.of(answer.model).add(now - answer.began)
            self._last = now
        return event

    async def aclose(self) -> None:
        """Close the stream; before its end, that is an answer which somebody did not want any more."""
        self._answer.end(GeneratorExit())
