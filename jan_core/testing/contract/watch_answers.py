"""What is looked at, while it happens, of an answer that a model writes: `chat` and `completions`."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from pydantic import BaseModel

from jan_core import call
from jan_core.testing.contract.case import Broken, holds, same, written
from jan_core.testing.contract.grammar import Grammar, counts_are_right
from jan_core.testing.contract.watch import Watch


class AnswerWatch(Watch):
    """Looks at an answer, in one reply or as a stream: grammar, choices, limit, stop strings, counts.

    Attributes:
        prefix: what ids begin with.
    """

    prefix: ClassVar[str]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._begun = int(time.time())
        self._grammar: Grammar | None = None
        self._tails: dict[int, str] = {}

    @property
    def body(self) -> Any:
        """The request."""
        return self.arguments["body"]

    def choices(self) -> int:
        """How many answers there have to be."""
        return self.body.n or 1

    def limit(self) -> int | None:
        """How many tokens may be written for all of them; None where the request does not say."""
        raise NotImplementedError

    def stops(self) -> list[str]:
        """Strings that no answer may contain."""
        stop = self.body.stop
        return [stop] if isinstance(stop, str) else list(stop or ())

    def text(self, choice: Any) -> str:
        """The text of a choice, or what is new of it."""
        raise NotImplementedError

    def answered(self, reply: Any) -> None:
        """See `Watch`."""
        super().answered(reply)
        self._head(reply)
        same("the indexes of the choices", [one.index for one in reply.choices], list(range(self.choices())))
        for one in reply.choices:
            self._no_stop(one.index, self.text(one))
        told = written(reply).get("usage")
        counts_are_right(told)
        self._counts(told)

    def event(self, event: Any) -> None:
        """See `Watch`."""
        super().event(event)
        if self._grammar is None:
            self._head(event)
            options = self.body.stream_options
            usage = options is not None and bool(options.include_usage)
            self._grammar = Grammar(choices=self.choices(), usage=usage)
        self._grammar.add(event)
        longest = max(map(len, self.stops()), default=1)
        for one in event.choices:
            tail = self._tails.get(one.index, "") + self.text(one)
            self._no_stop(one.index, tail)
            self._tails[one.index] = tail[1 - longest :] if longest > 1 else ""
        if self._grammar.usage is not None:
            self._counts(self._grammar.usage)

    def ended(self) -> None:
        """See `Watch`."""
        super().ended()
        if self._grammar is None:
            raise Broken("a stream has at least one chunk; this one has none")
        self._grammar.ended()
        self._counts(self._grammar.usage)

    def _head(self, told: BaseModel) -> None:
        id, created, model = (getattr(told, name) for name in ("id", "created", "model"))
        holds(id.startswith(self.prefix), f"the id {id!r} does not begin with {self.prefix}")
        now = time.time()
        holds(self._begun - 1 <= created <= now + 1, f"it was created now, {int(now)}, and not at {created}")
        same("the model", model, self.body.model)

    def _no_stop(self, index: int, text: str) -> None:
        for stop in self.stops():
            holds(stop not in text, f"the choice {index} tells the stop string {stop!r}")

    def _counts(self, usage: dict[str, Any] | None) -> None:
        """Look at what was written, against the limit, and whether the call is told the same."""
        context, limit = call.current(), self.limit()
        known = None if usage is None else usage["completion_tokens"]
        if context is not None:
            counted = (context.prompt_tokens, context.completion_tokens)
            holds(None not in counted, f"the call was told the tokens {counted}, and has to know both")
            known = counted[1] if known is None else known
        if limit and known is not None:
            holds(known <= limit, f"{known} tokens were written, and the limit was {limit}")


class ChatWatch(AnswerWatch):
    """Looks at `chat.create` and `chat.create_stream`."""

    prefix: ClassVar[str] = "chatcmpl-"

    def limit(self) -> int | None:
        """See `AnswerWatch`."""
        most: int | None = self.body.max_completion_tokens or self.body.max_tokens
        return most and most * self.choices()

    def text(self, choice: Any) -> str:
        """See `AnswerWatch`."""
        told = choice.delta if hasattr(choice, "delta") else choice.message
        return told.content or ""


class CompletionWatch(AnswerWatch):
    """Looks at `completions.create` and `completions.create_stream`."""

    prefix: ClassVar[str] = "cmpl-"

    def choices(self) -> int:
        """See `AnswerWatch`."""
        return self._prompts() * super().choices()

    def limit(self) -> int | None:
        """See `AnswerWatch`. `best_of` answers are written where the best of them are given."""
        most: int | None = self.body.max_tokens
        return most and most * self._prompts() * max(self.body.n or 1, self.body.best_of or 1)

    def stops(self) -> list[str]:
        """See `AnswerWatch`. A prompt that is said again may contain them."""
        return [] if self.body.echo else super().stops()

    def text(self, choice: Any) -> str:
        """See `AnswerWatch`."""
        return str(choice.text)

    def _prompts(self) -> int:
        given = self.body.prompt
        return len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1
