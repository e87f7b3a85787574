"""The scripted engine's completions: each prompt is a script of `jan_core.testing.scripted`, or is said back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar

from jan_core import call
from jan_core.endpoints.completions import Completions
from jan_core.errors import InvalidRequest, NotSupported
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
from jan_core.testing.scripted import Script, failure, read_script, until

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
        head: dict[str, Any] = {"id": new_id("cmpl-"), "created": now(), "model": body.model}
        scripts = [(text, read_script(text, "prompt")) for text in prompts(body)]
        choices = body.n or 1
        written = 0
        self.open += 1
        try:
            for number, (text, script) in enumerate(scripts):
                indexes = range(number * choices, (number + 1) * choices)
                if body.echo and text:
                    for index in indexes:
                        yield _chunk(head, index, text)
                async for piece in _pieces(script):
                    for index in indexes:
                        written += 1
                        yield _chunk(head, index, piece)
                for index in indexes:
                    yield _chunk(head, index, "", script.finish)
            read = sum(script.prompt_tokens for _, script in scripts)
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


async def _pieces(script: Script) -> AsyncIterator[str]:
    import asyncio

    began = asyncio.get_running_loop().time()
    for number, piece in enumerate(script.say):
        if script.rate:
            await until(began + number / script.rate)
        if script.fail is not None and number == script.fail_after:
            raise failure(script.fail)
        yield piece
    if script.fail is not None and script.fail_after >= len(script.say):
        raise failure(script.fail)
    if script.hang:
        await asyncio.get_running_loop().create_future()


def _chunk(head: dict[str, Any], index: int, text: str, reason: str | None = None) -> CompletionChunk:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
    return CompletionChunk.model_validate({**head, "choices": [choice]})


@hookimpl
def provide_completions(settings: Any, jan: Jan) -> ScriptedCompletions:
    """Build the module."""
    return ScriptedCompletions(jan)
