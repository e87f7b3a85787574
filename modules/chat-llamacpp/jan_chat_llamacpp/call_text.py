"""Calls as text: how they are written where the engine knows no better, and how they are read piece by piece.

    <tool_call>
    {"name": "add", "arguments": {"a": 1}}
    </tool_call>

Many models were trained on this form. It is held to by a grammar, so the reader may rely on every blank of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jan_chat_llamacpp.tools import Calling

BEGIN, END = "<tool_call>", "</tool_call>"
BEFORE_NAME = '\n{"name": "'
BEFORE_ARGUMENTS = '", "arguments": '
AFTER_ARGUMENTS = "}\n"


def call_text(name: str, arguments: str) -> str:
    """A call as the model is to write it; `arguments` is JSON."""
    return f"{BEGIN}{BEFORE_NAME}{name}{BEFORE_ARGUMENTS}{arguments}{AFTER_ARGUMENTS}{END}"


def result_text(content: str) -> str:
    """The result of a call, as the model reads it."""
    return f"<tool_response>\n{content}\n</tool_response>"


def instructions(calling: Calling) -> str:
    """What the model is told where its template knows no tools."""
    tools = "\n".join(json.dumps(tool.described()["function"], ensure_ascii=False) for tool in calling.tools)
    form = call_text("the name", '{"the arguments": "as JSON"}')
    lines = [f"You can call these functions:\n{tools}", f"A call is written like this:\n{form}"]
    if calling.mode == "required":
        lines.append("Answer with a call." if calling.most == 1 else "Answer with one call or more.")
    else:
        lines.append("Call a function where it helps to answer, or answer in words.")
    return "\n\n".join(lines)


@dataclass(frozen=True)
class Said:
    """A part of an answer: text, the name that a call begins with, or more of its arguments."""

    kind: Literal["text", "name", "arguments"]
    text: str


class CallReader:
    """Tells calls from text while they come. What may become a call is held back until it is clear.

    Args:
        forced: the answer is nothing but calls, so that what is held back at its end is never text.
    """

    def __init__(self, *, forced: bool = False) -> None:
        self._forced = forced
        self._rest = ""
        self._where: Literal["text", "name", "arguments", "after"] = "text"
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> list[Said]:
        """Read on; returns what is certain now."""
        self._rest += text
        found: list[Said] = []
        while (part := self._step()) is not None:
            if part.text:
                found.append(part)
        return found

    @property
    def within(self) -> bool:
        """True while a call has begun and its arguments have not ended."""
        return self._where in ("name", "arguments")

    def end(self, *, cut: bool = False) -> list[Said]:
        """The answer has ended; what was held back is text after all, unless a call was cut off.

        Args:
            cut: something else than the model may have ended it: then the beginning of a mark is no text. The answer
                could as well have been cut before it.
        """
        rest, self._rest = self._rest, ""
        if cut and (begun := _begun(rest)):
            rest = rest[:-begun].rstrip()
        return [Said("text", rest)] if self._where == "text" and rest and not self._forced else []

    def _step(self) -> Said | None:
        """Take one part off what is there; None where more is needed."""
        if self._where == "text":
            return self._text()
        if self._where == "name":
            return self._name()
        if self._where == "arguments":
            return self._arguments()
        position = self._rest.find(BEGIN)
        if position < 0:
            self._rest = self._rest[-len(BEGIN) :]
            return None
        self._rest = self._rest[position + len(BEGIN) :]
        self._where = "name"
        return Said("text", "")

    def _text(self) -> Said | None:
        position = self._rest.find(BEGIN)
        if position >= 0:
            text = self._rest[:position].rstrip()
            self._rest = self._rest[position + len(BEGIN) :]
            self._where = "name"
            return Said("text", text)
        sure = len(self._rest) - _begun(self._rest)
        sure = len(self._rest[:sure].rstrip())
        if not sure:
            return None
        text, self._rest = self._rest[:sure], self._rest[sure:]
        return Said("text", text)

    def _name(self) -> Said | None:
        position = self._rest.find(BEFORE_ARGUMENTS, len(BEFORE_NAME))
        if position < 0:
            return None
        name = self._rest[len(BEFORE_NAME) : position]
        self._rest = self._rest[position + len(BEFORE_ARGUMENTS) :]
        self._where, self._depth = "arguments", 0
        return Said("name", name)

    def _arguments(self) -> Said | None:
        for position, char in enumerate(self._rest):
            if self._in_string:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == '"':
                    self._in_string = False
            elif char == '"':
                self._in_string = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                if not self._depth:
                    text, self._rest = self._rest[: position + 1], self._rest[position + 1 :]
                    self._where = "after"
                    return Said("arguments", text)
        text, self._rest = self._rest, ""
        return Said("arguments", text) if text else None


def _begun(text: str) -> int:
    """How many characters at the end of a text may be the beginning of a call."""
    return next(length for length in range(len(BEGIN) - 1, -1, -1) if text.endswith(BEGIN[:length]))


def past_calls(calls: Sequence[tuple[str, str]]) -> str:
    """Calls of an earlier answer, as (name, arguments)."""
    return "\n".join(call_text(name, arguments) for name, arguments in calls)


def readable_arguments(arguments: str) -> str:
    """A past call's arguments as JSON; what a model wrote and is none is wrapped, for templates take nothing else."""
    try:
        value: Any = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        value = None
    return arguments or "{}" if isinstance(value, dict) else json.dumps({"invalid_json": arguments}, ensure_ascii=False)
