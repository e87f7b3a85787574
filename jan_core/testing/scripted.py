"""The scripted engine: a chat module that says what the request tells it to, as fast as told.

It proves the endpoint's class with a second implementation, and drives tests and benchmarks of the kernel. The last
message of a request is its script, as JSON:

    {"say": ["Hel", "lo"], "rate": 50, "finish": "stop", "fail": "engine_error", "fail_after": 1, "prompt_tokens": 3}

`say` are the pieces; `rate` is pieces a second, 0 for at once; `hang` true waits for ever after the last piece. Text
that is no JSON object is said back, word by word.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from jan_core import call
from jan_core.endpoints.chat import Chat
from jan_core.errors import Busy, ContextLengthExceeded, EngineError, InvalidRequest, JanError
from jan_core.hookspecs import hookimpl
from jan_core.ids import new_id, now
from jan_core.schemas.chat import (
    ChatCompletionChunk,
    ChatCompletionRequest,
    CompletionUsage,
    FinishReason,
)

if TYPE_CHECKING:
    from jan_core.app import Jan


class Script(BaseModel):
    """What the engine is to do; see the module's docstring."""

    model_config = ConfigDict(extra="forbid")

    say: list[str] = []
    rate: float = 0
    finish: FinishReason = "stop"
    fail: str | None = None
    fail_after: int = 0
    hang: bool = False
    prompt_tokens: int = 1


class ScriptedChat(Chat):
    """Chat by script.

    Attributes:
        open: streams under way, so that a test sees a leaked one.
        said: pieces handed out so far.
        closed: streams that ended, in whatever way.
    """

    engine: ClassVar[str | None] = "scripted"

    def __init__(self, jan: Jan | None = None) -> None:
        self._jan = jan
        self.open = 0
        self.said = 0
        self.closed = 0

    async def create_stream(self, body: ChatCompletionRequest) -> AsyncIterator[ChatCompletionChunk]:
        """See `Chat`."""
        if self._jan is not None:
            await self._jan.models.locate(body.model)
        script = script_of(body)
        head: dict[str, Any] = {"id": new_id("chatcmpl-", 29), "created": now(), "model": body.model}
        choices = range(body.n or 1)
        self.open += 1
        try:
            if script.fail is not None and script.fail_after == 0:
                raise failure(script.fail)
            for index in choices:
                yield _chunk(head, index, {"role": "assistant", "content": ""})
            began = asyncio.get_running_loop().time()
            for number, piece in enumerate(script.say):
                if script.rate:
                    await until(began + number / script.rate)
                if script.fail is not None and number == script.fail_after:
                    raise failure(script.fail)
                self.said += 1
                for index in choices:
                    yield _chunk(head, index, {"content": piece})
            if script.hang:
                await asyncio.get_running_loop().create_future()
            for index in choices:
                yield _chunk(head, index, {}, script.finish)
            written = len(script.say) * len(choices)
            context = call.current()
            if context is not None:
                context.prompt_tokens, context.completion_tokens = script.prompt_tokens, written
            if body.stream_options is not None and body.stream_options.include_usage:
                usage = CompletionUsage(
                    prompt_tokens=script.prompt_tokens,
                    completion_tokens=written,
                    total_tokens=script.prompt_tokens + written,
                )
                yield ChatCompletionChunk(**head, choices=[], usage=usage)
        finally:
            self.open -= 1
            self.closed += 1


def script_of(body: ChatCompletionRequest) -> Script:
    """The script that a request carries."""
    content = body.messages[-1].content
    return read_script(content if isinstance(content, str) else "", "messages")


def read_script(text: str, field: str) -> Script:
    """The script that a text is, or one that says the text back.

    Raises:
        InvalidRequest: it is a JSON object, but no script; `field` is named.
    """
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict):
        try:
            return Script.model_validate(told)
        except ValidationError as error:
            raise InvalidRequest(f"The script is none: {error.errors()[0]['msg']}.", param=field) from error
    return Script(say=[word + " " for word in text.split()])


async def until(time: float) -> None:
    """Wait until the loop's clock tells this time."""
    left = time - asyncio.get_running_loop().time()
    if left > 0:
        await asyncio.sleep(left)


def _chunk(
    head: dict[str, Any], index: int, delta: dict[str, Any], reason: FinishReason | None = None
) -> ChatCompletionChunk:
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return ChatCompletionChunk.model_validate({**head, "choices": [choice]})


def failure(code: str) -> Exception:
    """The error that a script names."""
    known: dict[str, JanError] = {
        "queue_full": Busy("The script says: busy.", retry_after=7),
        "context_length_exceeded": ContextLengthExceeded("The script says: too long.", param="messages"),
        "engine_error": EngineError("The script says: the engine failed."),
    }
    return known.get(code) or RuntimeError(f"the script says: {code}")


@hookimpl
def provide_chat(settings: Any, jan: Jan) -> ScriptedChat:
    """Build the module."""
    return ScriptedChat(jan)
