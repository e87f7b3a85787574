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


def stream_keeps_grammar(
    chunks: Iterable[BaseModel | dict[str, Any]], *, choices: int | None = None, usage: bool = False, plain: Any = None
) -> list[Told]:
    """Look that chunks are a whole stream of `chat` or `completions`.

    The same id, time and model in all of them; of each choice first the role (in a chat), then pieces, then one
    `finish_reason` with nothing new, and nothing after it; `usage` in one last chunk without choices, and only if it
    was asked for.

    Args:
        chunks: all of a stream, oldest first, as objects or as they are read from JSON.
        choices: how many answers were asked for; None where that is not known.
        usage: whether `stream_options.include_usage` was asked for.
        plain: the answer to the same request in one reply, which the pieces have to add up to; None to leave that.

    Returns:
        What each choice adds up to.

    Raises:
        Broken: they are none.
    """
    found: list[dict[str, Any]] = [written(one) if isinstance(one, BaseModel) else one for one in chunks]
    holds(found, "a stream has at least one chunk; this one has none")
    for number, chunk in enumerate(found):
        same(f"what chunk {number} says of the answer", [chunk.get(name) for name in _HEAD], _head(found[0]))
    if usage:
        _is_usage(found.pop())
    told: dict[int, Told] = {}
    for number, chunk in enumerate(found):
        if not chunk.get("choices"):
            raise Broken(f"chunk {number} has no choice; only the last one, with the usage that was asked for, may")
        same(f"the usage in chunk {number}", chunk.get("usage"), None)
        for choice in chunk["choices"]:
            _add(f"chunk {number}", chunk["object"], choice, told.setdefault(choice["index"], Told()))
    wanted = len(told) if choices is None else choices
    same("the indexes of the choices", sorted(told), list(range(wanted)))
    for index, one in sorted(told.items()):
        if one.finish_reason is None:
            raise Broken(f"the choice {index} has no finish_reason")
        one.text = "".join(one.pieces)
        for kind, calls in (("tool_calls", bool(one.calls)), ("function_call", one.older_call)):
            holds(calls or one.finish_reason != kind, f"the choice {index} ends with {kind} and has none")
    answers = [told[index] for index in range(wanted)]
    if plain is not None:
        _adds_up(written(plain) if isinstance(plain, BaseModel) else plain, answers)
    return answers


def _head(first: dict[str, Any]) -> list[Any]:
    holds(first.get("object") in (_CHAT, _TEXT), f"a chunk's object is {_CHAT} or {_TEXT}, not {first.get('object')!r}")
    for name, kind in (("id", str), ("created", int), ("model", str)):
        holds(first.get(name) and isinstance(first[name], kind), f"{name} is {first.get(name)!r} in the first chunk")
    return [first[name] for name in _HEAD]


def _is_usage(chunk: dict[str, Any]) -> None:
    same("the choices of the last chunk, where usage was asked for", chunk.get("choices"), [])
    counts_are_right(chunk.get("usage"))


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
