"""Ends answers at stop strings.

llama.cpp can do that itself, but forgets text: what it holds back while it could become a stop string is lost where the
answer reaches its limit of tokens meanwhile, and so are the logprobs of all held tokens in a chat.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jan_workers.stops import begun, found


@dataclass
class _Choice:
    """One answer: the pieces that are held back, each with its text, and whether it has ended."""

    held: list[tuple[bytes, str]] = field(default_factory=list)
    ended: bool = False


class Stopping:
    """Watches the pieces of the engine's answers for stop strings, in the engine's place.

    Args:
        request: what the engine was asked; `stop` is taken out of it, and it is told to count as it goes.
        chat: whether it is a chat; else it is a completion. Calls and thoughts that the engine tells apart from text
            are not looked at: stop strings end text.
    """

    def __init__(self, request: dict[str, Any], *, chat: bool) -> None:
        given = request.pop("stop", None) or []
        self._stops = [stop for stop in ([given] if isinstance(given, str) else given) if stop]
        request["timings_per_token"] = True
        self._chat = chat
        self._choices: dict[int, _Choice] = {}
        prompt = request.get("prompt")
        prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
        self._left = prompts * (request.get("n") or 1)
        self._stopped = False
        self._mute = False

    @property
    def over(self) -> bool:
        """Whether all answers have ended, and the engine, which goes on with one of them, is to stop."""
        return self._stopped and self._left <= 0

    def take(self, raw: bytes) -> Iterator[bytes]:
        """The pieces that may be told now that the engine has written one, in the same form."""
        piece = json.loads(raw)
        choices = piece.get("choices")
        if not choices:
            if self._mute and "usage" in piece:  # of an answer that has ended before: its own usage is told
                self._mute = False
            else:
                self._left -= "usage" in piece
                yield raw
            return
        choice = choices[0]
        state = self._choices.setdefault(choice["index"], _Choice())
        ends = bool(choice["finish_reason"])
        if state.ended:
            self._mute = self._mute or (ends and self._chat)
            return
        text, aside = self._text(choice)
        state.held.append((raw, text))
        whole = "".join(text for _, text in state.held)
        at = found(whole, self._stops) if text else None
        if at is not None:
            yield from _cut(state.held, at, self._chat)
            yield from self._end(piece)
            state.held.clear()
            state.ended = self._stopped = True
            self._left -= 1
            return
        # Nothing that comes later than the end, or than a call, belongs to the text before it.
        ready = len(whole) if ends or aside else len(whole) - begun(whole, self._stops)
        while state.held and len(state.held[0][1]) <= ready:
            told, text = state.held.pop(0)
            ready -= len(text)
            yield told
        if ends:
            state.ended = True
            self._left -= not self._chat  # a chat's ends with the usage that follows

    def _text(self, choice: dict[str, Any]) -> tuple[str, bool]:
        """A choice's text, and whether there is something else in it that belongs behind all text so far."""
        if not self._chat:
            return choice["text"], False
        delta = choice["delta"]
        return delta.get("content") or "", bool(delta.get("tool_calls") or delta.get("reasoning_content"))

    def _end(self, piece: dict[str, Any]) -> Iterator[bytes]:
        """What the engine writes at the end of an answer."""
        index = piece["choices"][0]["index"]
        timings = piece["timings"]
        prompt, written = timings["cache_n"] + timings["prompt_n"], timings["predicted_n"]
        usage = {
            "completion_tokens": written,
            "prompt_tokens": prompt,
            "total_tokens": prompt + written,
            "prompt_tokens_details": {"cached_tokens": timings["cache_n"]},
        }
        head: dict[str, Any] = {"index": index, "finish_reason": "stop"}
        if self._chat:
            yield json.dumps({"choices": [{**head, "delta": {}}]}).encode()
            yield json.dumps({"choices": [], "usage": usage}).encode()
        else:
            yield json.dumps({"choices": [{**head, "text": "", "logprobs": None}], "usage": usage}).encode()


def _cut(held: list[tuple[bytes, str]], at: int, chat: bool) -> Iterator[bytes]:
    """The held pieces up to a place in their text, the last one cut there."""
    for raw, text in held:
        if at <= 0:
            return
        if len(text) <= at:
            yield raw
        else:
            piece = json.loads(raw)
            (piece["choices"][0]["delta"] if chat else piece["choices"][0])["content" if chat else "text"] = text[:at]
            yield json.dumps(piece).encode()
        at -= len(text)
