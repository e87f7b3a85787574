"""What the scripted upstream says: like many servers do, with fields left out and with fields that nobody knows.

Scripts are those of `jan_core.testing.scripted`; text that is none is said back, word by word.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jan_core.errors import InvalidRequest, JanError
from jan_core.testing.scripted import LONGEST, Script, Stops, cut, read_script

WIDTH = 16
"""Numbers of a vector."""
LAST = 256
"""The last token's number."""
LONGEST_INPUT = 1000
"""Bytes, or tokens, that a text to make a vector of may have."""
CANNOT = (
    "functions",
    "logprobs",
    "logit_bias",
    "prediction",
    "audio",
    "web_search_options",
    "moderation",
    "store",
    "response_format",
    "suffix",
    "best_of",
)
"""Fields that it refuses by name."""
_numbers = itertools.count(1)


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self.body: dict[str, Any] = {"error": error}


@dataclass
class Form:
    """How answers are changed before they are sent.

    Attributes:
        omit: names of fields that are left out, wherever they stand.
        extra: fields that every object and choice gets besides.
    """

    omit: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def of(self, value: Any) -> Any:
        """The value as it is sent."""
        if isinstance(value, list):
            return [self.of(one) for one in value]
        if isinstance(value, dict):
            return {name: self.of(one) for name, one in value.items() if name not in self.omit} | self.extra
        return value


@dataclass
class Said:
    """One choice of an answer: its pieces with the seconds at which each is due, and how it ends; "" where it hangs."""

    pieces: list[tuple[float, str]]
    calls: list[dict[str, Any]]
    finish: str
    written: int


@dataclass
class Asked:
    """A request that is answered by script.

    Attributes:
        script: what is to be done.
        said: its choices.
        head: the fields that all its chunks have.
        usage: the tokens of it.
        chat: whether it is a chat, and no completion.
        with_usage: whether a stream tells `usage`.
    """

    script: Script
    said: list[Said]
    head: dict[str, Any]
    usage: dict[str, int]
    chat: bool
    with_usage: bool

    @property
    def hangs(self) -> bool:
        """Whether it goes on for ever after its last piece."""
        return any(not one.finish for one in self.said)

    def chunks(self, form: Form) -> Iterator[tuple[float, bytes]]:
        """The events of a stream, each with the seconds at which it is due, `[DONE]` left out."""
        if self.chat:
            for index in range(len(self.said)):
                yield 0.0, self._event(form, index, {"role": "assistant", "content": ""})
        now = 0.0
        for index, one in enumerate(self.said):
            # All but the text is the same in every piece.
            before, after = self._event(form, index, "\0").split(b'"\\u0000"')
            for now, text in one.pieces:
                yield now, before + json.dumps(text).encode() + after
            for call in one.calls:
                yield now, self._event(form, index, {"tool_calls": [call]})
            if self.hangs:
                return
            yield now, self._event(form, index, {} if self.chat else "", one.finish)
        if self.with_usage:
            yield now, event(form.of({**self.head, "choices": [], "usage": self.usage}))

    def _event(self, form: Form, index: int, told: Any, finish: str | None = None) -> bytes:
        delta = {"content": told} if isinstance(told, str) and self.chat else told
        choice = {"index": index, "delta" if self.chat else "text": delta, "finish_reason": finish}
        return event(form.of({**self.head, "choices": [choice]}))

    def whole(self) -> dict[str, Any]:
        """The answer in one reply."""
        choices: list[dict[str, Any]] = []
        for index, one in enumerate(self.said):
            text = "".join(piece for _, piece in one.pieces)
            choice: dict[str, Any] = {"index": index, "finish_reason": one.finish}
            if self.chat:
                calls = [{name: value for name, value in call.items() if name != "index"} for call in one.calls]
                said = {"role": "assistant", "content": None if calls and not text else text}
                choice["message"] = {**said, **({"tool_calls": calls} if calls else {})}
            else:
                choice["text"] = text
            choices.append(choice)
        kind = self.head["object"].removesuffix(".chunk")
        return {**self.head, "object": kind, "choices": choices, "usage": self.usage}


def event(told: Any) -> bytes:
    """One event of a stream."""
    return b"data: %s\n\n" % json.dumps(told, separators=(",", ":")).encode()


def asked(body: dict[str, Any], *, chat: bool) -> Asked:
    """What a request asks for.

    Raises:
        Refused: it cannot be answered.
    """
    for name in CANNOT:
        if body.get(name) and body[name] != {"type": "text"}:
            raise Refused(400, f"{name} is not supported by this server", name, "unsupported_parameter")
    texts = _texts(body, chat)
    said: list[Said] = []
    scripts: list[Script] = []
    for text in texts:
        try:
            script = read_script(_without_fault(text), "messages" if chat else "prompt")
        except InvalidRequest as error:
            raise Refused(400, error.message, error.param) from error
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        one = _said(script, limit, body.get("stop"), body if chat else {}, text if body.get("echo") else "")
        scripts.append(script)
        said += [one] * (body.get("n") or 1)
    read = sum(script.prompt_tokens for script in scripts) if not chat else _read(body, scripts[0]) + _images(body)
    wrote = sum(one.written for one in said)
    usage = {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}
    number = f"{next(_numbers)}-{time.time_ns():x}"
    head = {"id": f"chatcmpl-{number}" if chat else f"cmpl-{number}"}
    head["object"] = "chat.completion.chunk" if chat else "text_completion"
    told = {**head, "created": int(time.time()), "model": body.get("model"), "x_scripted": {"unknown": [1, None]}}
    options = body.get("stream_options") or {}
    return Asked(scripts[-1], said, told, usage, chat, bool(options.get("include_usage")))


def _texts(body: dict[str, Any], chat: bool) -> list[str]:
    if not chat:
        given = body.get("prompt")
        given = [given] if given is None or isinstance(given, str) or isinstance(given[0], int) else given
        texts = [one if isinstance(one, str) else " ".join(map(str, one or [])) for one in given]
        lengths = [len(text.split()) for text in texts]
    else:
        try:
            every = [_text(one.get("content")) for one in body["messages"]]
            texts = every[-1:]
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise Refused(400, f"messages: {error!r}", "messages") from error
        lengths = [sum(len(text.split()) for text in every)]
    if max(lengths) > LONGEST:
        text = f"This model's maximum context length is {LONGEST} tokens; yours are {max(lengths)}."
        raise Refused(400, text, "messages" if chat else "prompt", "context_length_exceeded")
    return texts


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.get("text", "") for part in content)


def _without_fault(text: str) -> str:
    if '"fault"' not in text:
        return text
    told = json.loads(text)
    return json.dumps({name: value for name, value in told.items() if name != "fault"})


def _read(body: dict[str, Any], script: Script) -> int:
    """The tokens of a conversation: a word is one, and a script says how many it is."""
    texts = [_said_in(one.get("content")) for one in body["messages"]]
    words = [len(one.split()) for one in texts]
    return sum(words[:-1]) + (script.prompt_tokens if texts[-1].startswith("{") else max(1, words[-1]))


def _said_in(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(one.get("text", "")) for one in content or () if isinstance(one, dict))


def _images(body: dict[str, Any]) -> int:
    contents = [one.get("content") for one in body["messages"]]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(part.get("type") == "image_url" for part in parts)


def _said(script: Script, limit: int | None, stop: Any, body: dict[str, Any], echo: str) -> Said:
    now, found = script.wait, [(0.0, echo)] if echo else []
    script, stops = cut(script, limit, stop)
    stops = stops or Stops([])
    written = 0
    for number, piece in enumerate(script.say):
        now = script.wait + (number / script.rate if script.rate else 0)
        written += 1
        if text := stops.feed(piece):
            found.append((now, text))
        if stops.met:
            break
    if rest := stops.rest():
        found.append((now, rest))
    called = [] if stops.met or script.finish == "length" else _calls(script, body)
    finish = "stop" if stops.met else "" if script.hang else "tool_calls" if called else script.finish
    return Said(found, called, finish, written + len(called))


def _calls(script: Script, body: dict[str, Any]) -> list[dict[str, Any]]:
    choice = body.get("tool_choice")
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    wanted = [(one.name, "".join(one.pieces())) for one in script.call]
    if not wanted and names and choice not in (None, "auto", "none"):
        wanted = [(choice["function"]["name"] if isinstance(choice, dict) else names[0], "{}")]
    if choice == "none":
        wanted = []
    return [
        {
            "index": number,
            "id": f"call_{next(_numbers)}",
            "type": "function",
            "function": {"name": name, "arguments": text},
        }
        for number, (name, text) in enumerate(wanted)
    ]


def vectors(body: dict[str, Any]) -> dict[str, Any]:
    """The vectors of texts: how often each letter stands in them, at the length 1.

    Raises:
        Refused: it cannot be answered.
    """
    given = body.get("input")
    if not given:
        raise Refused(400, "input is missing", "input")
    if isinstance(given, str) or isinstance(given[0], int):
        given = [given]
    width = body.get("dimensions") or WIDTH
    if width > WIDTH:
        raise Refused(400, f"dimensions is at most {WIDTH}", "dimensions")
    texts = [list(one.encode()) if isinstance(one, str) else one for one in given]
    for number, text in enumerate(texts):
        where = f"input[{number}]" if len(texts) > 1 else "input"
        if text and max(text) > LAST:
            raise Refused(400, f"{where}: no token has this number", where)
        if len(text) > LONGEST_INPUT:
            raise Refused(400, f"{where}: {len(text)} tokens; {LONGEST_INPUT} fit", where, "context_length_exceeded")
    data = [{"index": number, "embedding": _vector(text, width, body)} for number, text in enumerate(texts)]
    tokens = sum(map(len, texts))
    return {"data": data, "model": body.get("model"), "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def _vector(text: list[int], width: int, body: dict[str, Any]) -> list[float] | str:
    counts = [1.0] * WIDTH
    for byte in text:
        counts[byte % WIDTH] += 1
    length = math.hypot(*counts[:width])
    found = [count / length for count in counts[:width]]
    if body.get("encoding_format") == "base64":
        return base64.b64encode(struct.pack(f"<{width}f", *found)).decode()
    return found


def failed(error: JanError) -> dict[str, Any]:
    """The body of an error that a script names."""
    return {"error": {"message": error.message, "type": error.type, "code": error.code}}
