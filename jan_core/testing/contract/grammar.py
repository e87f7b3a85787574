"""The grammar of a stream of completions, one function for every way in which chunks can be come by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from jan_core.testing.contract.case import Broken, holds, same, written

_CHAT, _TEXT = "chat.completion.chunk", "text_completion"
_HEAD = ("id", "object", "created", "model")


@dataclass
class Told:
    """What the chunks of one choice add up to.

    Attributes:
        text: the content, or the text.
        pieces: what it came in.
        finish_reason: why it ended; None where that is not told yet.
        calls: name and arguments of each tool call.
    """

    text: str = ""
    pieces: list[str] = field(default_factory=list)
    finish_reason: str | None = None
    calls: list[list[str]] = field(default_factory=list)
    begun: bool = False
    older_call: bool = False


class Grammar:
    """A stream of `chat` or `completions`, looked at chunk by chunk.

    The same id, time and model in all of them; of each choice first the role (in a chat), then pieces, then one
    `finish_reason` with nothing new, and nothing after it; `usage` in one last chunk without choices, and only if it
    was asked for.

    Args:
        choices: how many answers were asked for; None where that is not known.
        usage: whether `stream_options.include_usage` was asked for.

    Attributes:
        told: what each choice adds up to so far, by its index.
        usage: the counts; None as long as they are not told.
    """

    def __init__(self, *, choices: int | None = None, usage: bool = False) -> None:
        self._choices = choices
        self._asked = usage
        self._head: list[Any] = []
        self._number = 0
        self.told: dict[int, Told] = {}
        self.usage: dict[str, Any] | None = None

    def add(self, chunk: BaseModel | dict[str, Any]) -> None:
        """Look at the next chunk, an object or as it is read from JSON.

        Raises:
            Broken: it may not stand here.
        """
        found: dict[str, Any] = written(chunk) if isinstance(chunk, BaseModel) else chunk
        number, self._number = self._number, self._number + 1
        self._head = self._head or _head(found)
        same(f"what chunk {number} says of the answer", [found.get(name) for name in _HEAD], self._head)
        if self.usage is not None:
            raise Broken(f"chunk {number} comes after the one with the usage, which is the last")
        if not found.get("choices"):
            if not self._asked:
                raise Broken(f"chunk {number} has no choice; only the last one, with the usage that was asked for, may")
            counts_are_right(found.get("usage"))
            open_ones = [index for index, one in self.told.items() if one.finish_reason is None]
            same(f"the choices that have not ended before the usage, in chunk {number}", open_ones, [])
            self.usage = found["usage"]
            return
        same(f"the usage in chunk {number}", found.get("usage"), None)
        for choice in found["choices"]:
            index = choice["index"]
            if self._choices is not None and index not in range(self._choices):
                raise Broken(f"chunk {number} has the choice {index}, of {self._choices}: the indexes are from 0")
            _add(f"chunk {number}", found["object"], choice, self.told.setdefault(index, Told()))

    def ended(self) -> list[Told]:
        """Look that the stream is whole, now that no chunk comes any more.

        Returns:
            What each choice adds up to, by index.

        Raises:
            Broken: it is not.
        """
        holds(self._number, "a stream has at least one chunk; this one has none")
        if self._asked and self.usage is None:
            raise Broken("the usage that was asked for is not told in a last chunk without choices")
        wanted = len(self.told) if self._choices is None else self._choices
        same("the indexes of the choices", sorted(self.told), list(range(wanted)))
        for index, one in self.told.items():
            if one.finish_reason is None:
                raise Broken(f"the choice {index} has no finish_reason")
            one.text = "".join(one.pieces)
        return [self.told[index] for index in range(wanted)]


def stream_keeps_grammar(
    chunks: Iterable[BaseModel | dict[str, Any]], *, choices: int | None = None, usage: bool = False, plain: Any = None
) -> list[Told]:
    """Look that chunks are a whole stream of `chat` or `completions`; see `Grammar`.

    Args:
        chunks: all of a stream, oldest first, as objects or as they are read from JSON.
        choices: see `Grammar`.
        usage: see `Grammar`.
        plain: the answer to the same request in one reply, which the pieces have to add up to; None to leave that.

    Returns:
        What each choice adds up to.

    Raises:
        Broken: they are none.
    """
    grammar = Grammar(choices=choices, usage=usage)
    for chunk in chunks:
        grammar.add(chunk)
    answers = grammar.ended()
    if plain is not None:
        _adds_up(written(plain) if isinstance(plain, BaseModel) else plain, answers)
    return answers


def _head(first: dict[str, Any]) -> list[Any]:
    holds(first.get("object") in (_CHAT, _TEXT), f"a chunk's object is {_CHAT} or {_TEXT}, not {first.get('object')!r}")
    for name, kind in (("id", str), ("created", int), ("model", str)):
        holds(first.get(name) and isinstance(first[name], kind), f"{name} is {first.get(name)!r} in the first chunk")
    return [first[name] for name in _HEAD]


def counts_are_right(usage: dict[str, Any] | None) -> None:
    """Look that the counts of `usage` are there, none negative, and add up.

    Raises:
        Broken: they do not.
    """
    counts = [(usage or {}).get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    if not all(isinstance(one, int) and one >= 0 for one in counts):
        raise Broken(f"usage counts the tokens that were read, written, and both; this is {usage}")
    same("the total of tokens", counts[2], counts[0] + counts[1])  # type: ignore[operator]


def _add(where: str, kind: str, choice: dict[str, Any], told: Told) -> None:
    where = f"{where}, choice {choice['index']}"
    if told.finish_reason is not None:
        raise Broken(f"{where}: there is more after the finish_reason {told.finish_reason!r}: {choice}")
    new = choice.get("delta") if kind == _CHAT else {"content": choice.get("text")}
    if not isinstance(new, dict):
        raise Broken(f"{where}: there is no delta: {choice}")
    if kind == _CHAT:
        role = new.get("role")
        same(f"{where}: the role, {'after the first chunk' if told.begun else 'in the first chunk'}", role, _role(told))
    told.begun = True
    told.finish_reason = choice.get("finish_reason")
    if told.finish_reason is not None:
        same(f"{where}: what is new in the chunk with the finish_reason", {k: v for k, v in new.items() if v}, {})
        for reason, calls in (("tool_calls", bool(told.calls)), ("function_call", told.older_call)):
            holds(calls or told.finish_reason != reason, f"{where} ends with {reason} and has none")
        return
    piece = new.get("content") or ""
    try:
        piece.encode()
    except UnicodeEncodeError:
        raise Broken(f"{where}: the piece {piece!r} has half a character") from None
    told.pieces.append(piece)
    told.older_call = told.older_call or bool(new.get("function_call"))
    for one in new.get("tool_calls") or ():
        _add_call(where, one, told)


def _role(told: Told) -> str | None:
    return None if told.begun else "assistant"


def _add_call(where: str, new: dict[str, Any], told: Told) -> None:
    index, function = new.get("index"), new.get("function") or {}
    if index == len(told.calls):
        if not (new.get("id") and function.get("name")):
            raise Broken(f"{where}: a call begins with its id and its name: {new}")
        told.calls.append([function["name"], function.get("arguments") or ""])
    elif isinstance(index, int) and 0 <= index < len(told.calls) and not new.get("id"):
        told.calls[index][1] += function.get("arguments") or ""
    else:
        raise Broken(f"{where}: calls come in the order of their indexes, each begun once: {new}")


def _adds_up(plain: dict[str, Any], told: list[Told]) -> None:
    same("the answers", len(told), len(plain["choices"]))
    for one, choice in zip(told, plain["choices"], strict=True):
        message = choice.get("message")
        text = choice["text"] if message is None else message.get("content")
        what = f"choice {choice['index']}, put together, against the plain answer"
        same(what, one.text, text or "")
        same(f"the end of {what}", one.finish_reason, choice["finish_reason"])
        calls = (message or {}).get("tool_calls") or []
        wanted = [[call["function"]["name"], call["function"]["arguments"]] for call in calls]
        same(f"the calls of {what}", one.calls, wanted)
