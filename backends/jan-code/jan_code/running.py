"""An assistant's own `run`, in its process: what it is given, and what becomes of what it yields.

Standard library only.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from typing import Any

from jan_code.pipe import Pipe, Reply
from jan_code.plain import text_of

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What a step may be called."""
JSON = (("content-type", "application/json"),)
TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
"""Fields of a chat request that offer tools."""
EXTENSIONS = ("top_k", "min_p", "typical_p", "repeat_penalty")
"""Fields of one that OpenAI's API does not have, and its client takes in `extra_body`."""
MAY = "it may yield texts, chunks of a chat and events of a run"

Send = Callable[[dict[str, Any]], None]


class CannotSay(Exception):
    """What `run` yielded, or put into a step, can be no part of an answer; says why."""


class Refused(Exception):
    """The server refused what `context.ask` asked for; says why."""


class Telling:
    """What a run says and does, on its way to the server.

    Args:
        send: sends a message to the server.
        longest: bytes that all of it may have.
    """

    def __init__(self, send: Send, longest: int) -> None:
        self._send = send
        self._longest = longest
        self._said = 0

    def say(self, text: str) -> None:
        """Say more.

        Raises:
            CannotSay: it is too much.
        """
        if text:
            self._count(text)
            self._send({"say": {"text": text}})

    def step(self, name: str, arguments: Any, output: Any) -> None:
        """Tell of something that was done; see `Context.step`."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise CannotSay(f"a step is called {_shown(name)}, and may have letters A to Z, digits, '_' and '-' only")
        told = {"name": name, "arguments": text_of({} if arguments is None else arguments), "output": text_of(output)}
        self._count("".join(told.values()))
        self._send({"step": told})

    def take(self, given: Any) -> None:
        """Tell what `run` yielded.

        Raises:
            CannotSay: it is none of what it may yield.
        """
        if given is None or isinstance(given, str):
            self.say(given or "")
            return
        plain = given.model_dump() if callable(getattr(given, "model_dump", None)) else given
        kind = str(plain.get("object") or plain.get("event")) if isinstance(plain, dict) else ""
        if kind in ("chat.completion.chunk", "chat.completion"):
            for choice in plain["choices"][:1]:
                self.say((choice.get("delta") or choice.get("message") or {}).get("content") or "")
        elif kind.startswith("thread.") or kind == "done":
            self._event(kind, plain.get("data"))
        else:
            raise CannotSay(f"run yielded {_shown(given)}, of the type {type(given).__name__}; {MAY}")

    def _event(self, kind: str, data: Any) -> None:
        if kind == "thread.message.delta":
            for part in data["delta"]["content"] or ():
                if part["type"] == "text":
                    self.say((part.get("text") or {}).get("value") or "")
        elif kind == "thread.run.step.completed" and data["type"] == "tool_calls":
            for one in data["step_details"]["tool_calls"]:
                if one["type"] == "function":
                    called = one["function"]
                    self.step(called["name"], called["arguments"], called["output"] or "")
        elif kind in ("thread.run.failed", "thread.run.expired", "thread.run.cancelled", "thread.run.requires_action"):
            why = (data.get("last_error") or {}).get("message")
            raise CannotSay(f"the run {data['id']}, whose events it passed on, is {data['status']}: {why}")

    def _count(self, text: str) -> None:
        self._said += len(text.encode("utf-8", "surrogatepass"))
        if self._said > self._longest:
            raise CannotSay(f"it gave more than {self._longest} bytes")


class Context:
    """What `run` gets.

    Args:
        given: what the server tells of the run.
        pipe: takes requests to the server.
        telling: takes what the run says and does.

    Attributes:
        thread: the thread, as `GET /v1/threads/{id}` gives it.
        assistant: the assistant, as `GET /v1/assistants/{id}` gives it.
        run: the run, with the settings that hold for it.
        messages: the newest messages of the thread, oldest first.
        request: what the assistant's model would be asked without an own `run`: keyword arguments of
            `client.chat.completions.create`.
        tools: the assistant's own functions, as `tools` of a chat request.
    """

    def __init__(self, given: dict[str, Any], pipe: Pipe, telling: Telling) -> None:
        self._pipe, self._telling = pipe, telling
        self.thread: dict[str, Any] = given["thread"]
        self.assistant: dict[str, Any] = given["assistant"]
        self.run: dict[str, Any] = given["run"]
        self.messages: list[dict[str, Any]] = given["messages"]
        self.request: dict[str, Any] = _for_client(given["request"])
        self.tools: list[dict[str, Any]] = given["tools"]

    @cached_property
    def client(self) -> Any:
        """OpenAI's official client (`AsyncOpenAI`), whose server is this one.

        Raises:
            ModuleNotFoundError: the assistant's environment does not have it.
        """
        from jan_code.client import official

        return official(self._pipe)

    async def ask(self, instructions: str = "", **changes: Any) -> AsyncIterator[str]:
        """Ask the assistant's model, and give its answer piece by piece.

        Where the conversation does not fit the model's context, its older half is left out, until it does.

        Args:
            instructions: what is said to it besides the assistant's instructions.
            changes: fields of `request` that are to be others, such as `messages` or `temperature`.

        Raises:
            Refused: the server refused it, or failed.
        """
        # What it would call, nobody would carry out.
        asked = {name: value for name, value in self.request.items() if name not in TOOLS}
        extra = asked.pop("extra_body", {})
        asked |= {**extra, **changes, "stream": True}
        if instructions:
            asked["messages"] = _instructed(asked["messages"], instructions)
        while True:
            reply = await self._pipe.ask("POST", "/v1/chat/completions", JSON, json.dumps(asked).encode())
            try:
                if reply.status == 200:
                    async for event in _events(reply):
                        if "error" in event:
                            raise Refused(_why(event))
                        for choice in event["choices"][:1]:
                            if text := choice["delta"].get("content"):
                                yield text
                    return
                refused = json.loads(await reply.body())
            finally:
                reply.leave()
            fewer = shorter(asked["messages"])
            too_long = refused["error"]["code"] == "context_length_exceeded" and "messages" not in changes
            if not too_long or len(fewer) == len(asked["messages"]):
                raise Refused(_why(refused))
            asked["messages"] = fewer

    def step(self, name: str, arguments: Any, output: Any) -> None:
        """Add a step to the run that shows what was done. What was said before it is a message of its own.

        Args:
            name: of the function or the like: letters A to Z, digits, `_` and `-`.
            arguments: what it was called with: a text, or anything that becomes JSON.
            output: what came out, likewise.
        """
        self._telling.step(name, arguments, output)


async def run(function: Callable[[Context], Any], context: Context, telling: Telling) -> None:
    """Run an assistant's own `run` to its end, and tell what it says.

    Args:
        function: the `run`, an `async def`.
        context: its argument.
        telling: where what it yields goes.

    Raises:
        CannotSay: see `Telling.take`; the text has the line.
        BaseException: what the code raises.
    """
    given = function(context)
    if not inspect.isasyncgen(given):
        telling.take(await given)
        return
    try:
        async for one in given:
            try:
                telling.take(one)
            except CannotSay as error:
                line = given.ag_frame.f_lineno if given.ag_frame is not None else 0
                raise CannotSay(f"{error} (line {line})") from None
    finally:
        await given.aclose()


def _for_client(request: dict[str, Any]) -> dict[str, Any]:
    extra = {name: value for name, value in request.items() if name in EXTENSIONS}
    plain = {name: value for name, value in request.items() if name not in extra}
    return {**plain, "extra_body": extra} if extra else plain


def _instructed(messages: list[dict[str, Any]], instructions: str) -> list[dict[str, Any]]:
    """The messages with more instructions: behind those that they begin with, where they do."""
    if messages and messages[0]["role"] == "system" and isinstance(messages[0]["content"], str):
        first = {**messages[0], "content": f"{messages[0]['content']}\n\n{instructions}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": instructions}, *messages]


def shorter(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages without the older half of them: instructions stay, and the newest of a user and what follows it."""
    first = 1 if messages and messages[0]["role"] == "system" else 0
    users = [index for index, one in enumerate(messages) if one["role"] == "user"]
    last = users[-1] if users else len(messages) - 1
    return [*messages[:first], *messages[min(last, first + (len(messages) - first + 1) // 2) :]]


async def _events(reply: Reply) -> AsyncIterator[dict[str, Any]]:
    """The events of a chat stream."""
    rest = b""
    async for piece in reply:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                yield json.loads(line[6:])


def _why(told: dict[str, Any]) -> str:
    return str(told["error"]["message"])


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # the code's own
        return "something"
    return text if len(text) <= 100 else text[:100] + "…"
