"""The scripted engine's completions: each prompt is a script of `jan_core.testing.scripted`, or is said back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar

from jan_core import call
from jan_core.endpoints.completions import Completions
from jan_core.errors import ContextLengthExceeded, InvalidRequest, NotSupported
from jan_core.hookspecs import hookimpl
from jan_core.ids import new_id, now
from jan_core.schemas.completions import (
    CompletionChunk,
    CompletionRequest,
    CompletionUsage,
    DetokenizeRequest,
    Token,
    TokenizeRequest,
)
from jan_core.testing.scripted import LONGEST, Script, cut, failure, read_script, until

if TYPE_CHECKING:
    from jan_core.app import Jan


class ScriptedCompletions(Completions):
    """Completions by script. A prompt of tokens is said back as their numbers; scripts run one after another.

    Attributes:
        open: streams under way, so that a test sees a leaked one.
    """

    engine: ClassVar[str | None] = "scripted"

    def __init__(self, jan: Jan | None = None) -> None:
        self._jan = jan
        self.open = 0

    async def create_stream(self, body: CompletionRequest) -> AsyncIterator[CompletionChunk]:
        """See `Completions`."""
        await self._known(body.model)
        for name in ("suffix", "logprobs"):
            if getattr(body, name) is not None:
                raise NotSupported(f"{name}: the scripted engine does not do that.", param=name)
        if (body.best_of or 0) > (body.n or 1):
            raise NotSupported("best_of: the scripted engine does not choose; leave it out.", param="best_of")
        head: dict[str, Any] = {"id": new_id("cmpl-"), "created": now(), "model": body.model}
        check_length(body)
        scripts = [(text, *cut(read_script(text, "prompt"), body.max_tokens, body.stop)) for text in prompts(body)]
        choices = body.n or 1
        written = 0
        self.open += 1
        try:
            for number, (text, script, stops) in enumerate(scripts):
                indexes = range(number * choices, (number + 1) * choices)
                if body.echo and text:
                    for index in indexes:
                        yield _chunk(head, index, text)
                async for piece in _pieces(script):
                    written += choices
                    told = piece if stops is None else stops.feed(piece)
                    for index in indexes if told else ():
                        yield _chunk(head, index, told)
                    if stops is not None and stops.met:
                        break
                met = stops is not None and stops.met
                rest = "" if stops is None else stops.rest()
                for index in indexes if rest else ():
                    yield _chunk(head, index, rest)
                if script.hang and not met:
                    await asyncio.get_running_loop().create_future()
                for index in indexes:
                    yield _chunk(head, index, "", "stop" if met else script.finish)
            read = sum(script.prompt_tokens for _, script, _ in scripts)
            context = call.current()
            if context is not None:
                context.prompt_tokens, context.completion_tokens = read, written
            if body.stream_options is not None and body.stream_options.include_usage:
                usage = CompletionUsage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
                yield CompletionChunk(**head, choices=[], usage=usage)
        finally:
            self.open -= 1

    async def count_tokens(self, body: CompletionRequest) -> int:
        """See `Completions`."""
        return sum(read_script(text, "prompt").prompt_tokens for text in prompts(body))

    async def tokenize(self, body: TokenizeRequest) -> list[Token]:
        """See `Completions`. A token is a byte, and the number 256 begins a text."""
        await self._known(body.model)
        start = [Token(id=256, text="", bytes=[])] if body.special else []
        return [*start, *(Token(id=one, text=_text([one]), bytes=[one]) for one in body.text.encode())]

    async def detokenize(self, body: DetokenizeRequest) -> str:
        """See `Completions`."""
        await self._known(body.model)
        for token in body.tokens:
            if token > 256:
                raise InvalidRequest(
                    f"tokens: the scripted engine has no token {token}; the last is 256.", param="tokens"
                )
        return _text([token for token in body.tokens if token < 256])

    async def _known(self, model: str) -> None:
        if self._jan is not None:
            await self._jan.models.locate(model)


def _text(given: list[int]) -> str:
    return bytes(given).decode("utf-8", "replace")


def prompts(body: CompletionRequest) -> list[str]:
    """The prompts of a request, each as text."""
    given = body.prompt
    if given is None or isinstance(given, str):
        return [given or ""]
    if isinstance(given[0], int):
        return [" ".join(map(str, given))]
    return [one if isinstance(one, str) else " ".join(map(str, one)) for one in given]


def check_length(body: CompletionRequest) -> None:
    """Refuse prompts that are too long.

    Raises:
        ContextLengthExceeded: one has more than `LONGEST` words; its place is named.
    """
    texts = prompts(body)
    for index, text in enumerate(texts):
        words = len(text.split())
        if words > LONGEST:
            where = f"prompt[{index}]" if len(texts) > 1 else "prompt"
            raise ContextLengthExceeded(f"{where}: {words} words; {LONGEST} fit.", param=where)


async def _pieces(script: Script) -> AsyncIterator[str]:
    began = asyncio.get_running_loop().time()
    for number, piece in enumerate(script.say):
        if script.rate:
            await until(began + number / script.rate)
        if script.fail is not None and number == script.fail_after:
            raise failure(script.fail)
        yield piece
    if script.fail is not None and script.fail_after >= len(script.say):
        raise failure(script.fail)


def _chunk(head: dict[str, Any], index: int, text: str, reason: str | None = None) -> CompletionChunk:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
    return CompletionChunk.model_validate({**head, "choices": [choice]})


@hookimpl
def provide_completions(settings: Any, jan: Jan) -> ScriptedCompletions:
    """Build the module."""
    return ScriptedCompletions(jan)
