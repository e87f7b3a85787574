"""The scripted engine: a chat module that says what the request tells it to, as fast as told.

It proves the endpoint's class with a second implementation, and drives tests and benchmarks of the kernel. The last
message of a request is its script, as JSON:

    {"say": ["Hel", "lo"], "rate": 50, "finish": "stop", "fail": "engine_error", "fail_after": 1, "prompt_tokens": 3}

`say` are the pieces; `rate` is pieces a second, 0 for at once; `hang` true waits for ever after the last piece; `wait`
is for how many seconds nothing comes at first, as where a queue is long. Text that is no JSON object is said back, word
by word, and each word of the conversation counts as a token that was read. A piece counts as a token: a request's limit
and its stop strings hold for them. `refuse` are pieces of a refusal, after what is said.

`"call": [{"name": "add", "arguments": {"a": 1}}]` calls functions of the request's `tools`, after what is said; so the
last message of the request that follows, and the next script, is the output of the last call. Where a request demands
a call and its script has none, the demanded function is called, or the first one, with no arguments.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from jan_core import call
from jan_core.endpoints.chat import Chat
from jan_core.errors import Busy, ContextLengthExceeded, EngineError, InvalidRequest, JanError, NotSupported
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


LONGEST = 1 << 16
"""Words that a conversation may have."""
_NOT_DONE = (
    "functions",
    "logprobs",
    "logit_bias",
    "prediction",
    "audio",
    "web_search_options",
    "moderation",
    "store",
)
"""Fields that ask for what no script can say."""


class ScriptedCall(BaseModel):
    """A call of a function: its name, and its arguments as JSON has them, or as the text that they are to be."""

    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: str | dict[str, Any] = {}

    def pieces(self) -> list[str]:
        """The text of the arguments, in two pieces."""
        text = self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)
        return [text[: len(text) // 2], text[len(text) // 2 :]]


class Script(BaseModel):
    """What the engine is to do; see the module's docstring."""

    model_config = ConfigDict(extra="forbid")

    say: list[str] = []
    call: list[ScriptedCall] = []
    refuse: list[str] = []
    rate: float = 0
    wait: float = 0
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
        refuse(body)
        script = with_calls(script_of(body), body)
        script.prompt_tokens += images(body)
        script, stops = cut(script, body.max_completion_tokens or body.max_tokens, body.stop)
        head: dict[str, Any] = {"id": new_id("chatcmpl-", 29), "created": now(), "model": body.model}
        choices = range(body.n or 1)
        self.open += 1
        try:
            await asyncio.sleep(script.wait)
            if script.fail is not None and script.fail_after == 0:
                raise failure(script.fail)
            for index in choices:
                yield _chunk(head, index, {"role": "assistant", "content": ""})
            said = 0
            began = asyncio.get_running_loop().time()
            for number, piece in enumerate(script.say):
                if script.rate:
                    await until(began + number / script.rate)
                if script.fail is not None and number == script.fail_after:
                    raise failure(script.fail)
                self.said += 1
                said += 1
                text = piece if stops is None else stops.feed(piece)
                for index in choices if text else ():
                    yield _chunk(head, index, {"content": text})
                if stops is not None and stops.met:
                    break
            if stops is not None and (rest := stops.rest()):
                for index in choices:
                    yield _chunk(head, index, {"content": rest})
            for piece in script.refuse:
                said += 1
                for index in choices:
                    yield _chunk(head, index, {"refusal": piece})
            met = stops is not None and stops.met
            if script.hang and not met:
                await asyncio.get_running_loop().create_future()
            called = [] if met or script.finish == "length" else script.call
            for number, one in enumerate(called):
                begun = {"index": number, "id": new_id("call_"), "type": "function"}
                for index in choices:
                    yield _chunk(
                        head, index, {"tool_calls": [{**begun, "function": {"name": one.name, "arguments": ""}}]}
                    )
                for piece in one.pieces():
                    said += 1
                    for index in choices:
                        yield _chunk(head, index, {"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
            finish = "stop" if met else "tool_calls" if called else script.finish
            for index in choices:
                yield _chunk(head, index, {}, finish)
            written = said * len(choices)
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


def with_calls(script: Script, body: ChatCompletionRequest) -> Script:
    """The script with the calls that a request demands, and without those that it forbids.

    Raises:
        NotSupported: it has tools, or a choice among them, that are no functions.
        InvalidRequest: the script calls what is not among the request's tools.
    """
    for tool in body.tools or ():
        if tool.type != "function":
            raise NotSupported("tools: the scripted engine calls functions only.", param="tools")
    names = [tool.function.name for tool in body.tools or () if tool.type == "function"]
    choice = body.tool_choice
    if choice == "none":
        return script.model_copy(update={"call": []})
    demanded: str | None = None
    if choice == "required":
        demanded = names[0] if names else ""
    elif choice is not None and choice != "auto":
        if choice.type != "function":
            raise NotSupported("tool_choice: the scripted engine calls functions only.", param="tool_choice")
        demanded = choice.function.name
    called = script.call
    if demanded is not None and not called:
        called = [ScriptedCall(name=demanded)]
    for one in called:
        if one.name not in names:
            raise InvalidRequest(f"tools: there is no function {one.name!r} to call.", param="tools")
    return script.model_copy(update={"call": called[:1] if body.parallel_tool_calls is False else called})


class Stops:
    """Text as far as no stop string is met; what may be the beginning of one is held back.

    Attributes:
        met: True once one was met: nothing comes after that.
    """

    def __init__(self, stops: list[str]) -> None:
        self._stops = stops
        self._held = ""
        self.met = False

    def feed(self, piece: str) -> str:
        """What can be told now that this piece has come."""
        text = self._held + piece
        places = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if places:
            self.met, self._held = True, ""
            return text[: min(places)]
        beginnings = (at for at in range(len(text)) if any(stop.startswith(text[at:]) for stop in self._stops))
        at = next(beginnings, len(text))
        self._held = text[at:]
        return text[:at]

    def rest(self) -> str:
        """What was held back, once nothing more comes."""
        return self._held


def cut(script: Script, limit: int | None, stop: str | list[str] | None) -> tuple[Script, Stops | None]:
    """A script of so many pieces at most, and what looks for the stop strings of a request."""
    if limit is not None and limit < len(script.say):
        script = script.model_copy(update={"say": script.say[:limit], "finish": "length", "hang": False})
    stops = None if stop is None else Stops([stop] if isinstance(stop, str) else list(stop))
    return script, stops


def refuse(body: ChatCompletionRequest) -> None:
    """Refuse what no script can say.

    Raises:
        NotSupported: naming the field.
        ContextLengthExceeded: the conversation has more than `LONGEST` words.
    """
    asked = [name for name in _NOT_DONE if getattr(body, name)]
    if body.response_format is not None and body.response_format.type != "text":
        asked.append("response_format")
    for name in asked:
        raise NotSupported(f"{name}: the scripted engine does not do that; leave it out.", param=name)
    many = words(body)
    if many > LONGEST:
        raise ContextLengthExceeded(f"messages: {many} words; {LONGEST} fit.", param="messages")


def words(body: ChatCompletionRequest) -> int:
    """How many words a conversation has."""
    return sum(len(text_of(message.content).split()) for message in body.messages)


def script_of(body: ChatCompletionRequest) -> Script:
    """The script that a request carries."""
    return read_script(text_of(body.messages[-1].content), "messages", read=words(body))


def images(body: ChatCompletionRequest) -> int:
    """How many images a conversation has: each is seen as one token of the prompt."""
    contents = [one.content for one in body.messages if isinstance(one.content, list)]
    return sum(part.type == "image_url" for content in contents for part in content)


def text_of(content: Any) -> str:
    """The text of a message's content: the content itself, or that of its parts."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(getattr(part, "text", "") for part in content)


def read_script(text: str, field: str, *, read: int = 1) -> Script:
    """The script that a text is, or one that says the text back.

    Args:
        text: the text.
        field: where it stood in the request.
        read: the tokens of the prompt, where the text is no script; at least one.

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
    return Script(say=[word + " " for word in text.split()], prompt_tokens=max(1, read))


async def until(time: float) -> None:
    """Wait until the loop's clock tells this time."""
    loop = asyncio.get_running_loop()
    if time > loop.time():
        # As `asyncio.sleep`, which takes twice as long for it: it is done for every piece of every stream.
        reached = loop.create_future()
        timer = loop.call_at(time, _reach, reached)
        try:
            await reached
        except asyncio.CancelledError:
            timer.cancel()
            raise


def _reach(reached: asyncio.Future[None]) -> None:
    if not reached.done():
        reached.set_result(None)


def _chunk(
    head: dict[str, Any], index: int, delta: dict[str, Any], reason: FinishReason | None = None
) -> ChatCompletionChunk:
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return ChatCompletionChunk.of_values({**head, "choices": [choice]})


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
