"""What people and models write, in the form of the conventions. Used only where the setting `content` is on.

Source: OpenTelemetry's semantic conventions for generative AI, the schemas of input and output messages. Pictures,
sounds and files are named, and left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_NOTHING: dict[str, Any] = {}


def field(thing: Any, name: str) -> Any:
    """A field of a request or a reply; None where it has none of that name.

    `getattr` does the same, but takes several microseconds to find that a schema lacks a field.
    """
    found: dict[str, Any] = getattr(thing, "__dict__", _NOTHING)
    return found.get(name)


def says(choice: Any) -> bool:
    """Whether a piece of a choice holds something of the answer."""
    delta = field(choice, "delta")
    if delta is None:
        return bool(field(choice, "text"))
    told = getattr(delta, "__dict__", _NOTHING)
    return any(told.get(name) for name in ("content", "tool_calls", "reasoning_content", "refusal"))


def asked(body: Any) -> list[tuple[str, Any]]:
    """The attributes that hold what a request says: its messages or its prompt, and where to stop."""
    found: list[tuple[str, Any]] = []
    messages = field(body, "messages")
    prompt = field(body, "prompt")
    if messages is not None:
        found.append(("gen_ai.input.messages", _json([_message(one) for one in messages])))
    elif prompt is not None:
        texts = [prompt] if isinstance(prompt, str) else [one if isinstance(one, str) else str(one) for one in prompt]
        parts = [{"type": "text", "content": text} for text in texts]
        found.append(("gen_ai.input.messages", _json([{"role": "user", "parts": parts}])))
    stop = field(body, "stop")
    if stop is not None:
        found.append(("gen_ai.request.stop_sequences", (stop,) if isinstance(stop, str) else tuple(map(str, stop))))
    return found


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _message(message: Any) -> dict[str, Any]:
    role = str(message.role)
    if role in ("tool", "function"):
        response = {"type": "tool_call_response", "response": _text(message.content)}
        identity = field(message, "tool_call_id")
        return {"role": role, "parts": [response | ({"id": identity} if identity else {})]}
    parts: list[dict[str, Any]] = []
    thought = field(message, "reasoning_content")
    if thought:
        parts.append({"type": "reasoning", "content": thought})
    if isinstance(message.content, str):
        parts.append({"type": "text", "content": message.content})
    else:
        parts += [_part(part) for part in message.content or ()]
    refusal = field(message, "refusal")
    if refusal:
        parts.append({"type": "refusal", "content": refusal})
    parts += [_call(one) for one in field(message, "tool_calls") or ()]
    return {"role": role, "parts": parts}


def _text(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(getattr(part, "text", "") for part in content)


def _part(part: Any) -> dict[str, Any]:
    text = field(part, "text")
    return {"type": "text", "content": text} if text is not None else {"type": str(part.type)}


def _call(one: Any) -> dict[str, Any]:
    function = field(one, "function")
    if function is not None:
        return {"type": "tool_call", "id": one.id, "name": function.name, "arguments": function.arguments}
    custom = one.custom
    return {"type": "tool_call", "id": one.id, "name": custom.name, "arguments": custom.input}


class _Spoken:
    """One choice, as far as it was told."""

    def __init__(self) -> None:
        self.thought: list[str] = []
        self.text: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, dict[str, Any]] = {}

    def parts(self) -> list[dict[str, Any]]:
        kinds = (("reasoning", self.thought), ("text", self.text), ("refusal", self.refusal))
        said = [{"type": kind, "content": "".join(pieces)} for kind, pieces in kinds if pieces]
        return said + [self.calls[at] for at in sorted(self.calls)]


class Answer:
    """What a model says, put together from a whole reply or from pieces."""

    def __init__(self) -> None:
        self._choices: dict[int, _Spoken] = {}

    def add(self, choice: Any) -> None:
        """Add a choice, or a piece of it."""
        spoken = self._choices.setdefault(choice.index, _Spoken())
        told = field(choice, "delta") or field(choice, "message")
        if told is None:
            if text := field(choice, "text"):
                spoken.text.append(text)
            return
        for name, pieces in (
            ("reasoning_content", spoken.thought),
            ("content", spoken.text),
            ("refusal", spoken.refusal),
        ):
            if piece := field(told, name):
                pieces.append(piece)
        for place, one in enumerate(field(told, "tool_calls") or ()):
            kept = spoken.calls.setdefault(
                getattr(one, "index", place), {"type": "tool_call", "id": None, "name": "", "arguments": ""}
            )
            function = field(one, "function") or field(one, "custom")
            kept["id"] = field(one, "id") or kept["id"]
            kept["name"] += field(function, "name") or ""
            kept["arguments"] += field(function, "arguments") or field(function, "input") or ""

    def told(self, reasons: Mapping[int, str]) -> list[tuple[str, Any]]:
        """The attribute that holds the answer; none where nothing was said.

        Args:
            reasons: why each choice ended, where it did.
        """
        messages = [
            {"role": "assistant", "parts": spoken.parts(), "finish_reason": reasons.get(index, "error")}
            for index, spoken in sorted(self._choices.items())
        ]
        return [("gen_ai.output.messages", _json(messages))] if messages else []
