"""The text of each token of an answer, where the engine tells it for several at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jan_core.schemas.completions import CompletionLogprobs


@dataclass(slots=True)
class _Token:
    """A token as the engine told it; `text` is None where that is not its own."""

    text: str | None
    logprob: float
    top: list[dict[str, Any]]


class Tokens:
    """Pairs the tokens of one answer with its text, in the form of the API.

    The engine holds text back while it could be the beginning of a stop string or is half of a character. Tokens that
    it writes meanwhile have no text of their own in what it tells, and the one that ends it has the text of all. A held
    token's text is found among the likeliest of its place, or is what the others leave over.

    Args:
        wanted: how many of the likeliest tokens are told for each place; None tells none.
        offset: characters of the answer before its first token.
    """

    def __init__(self, wanted: int | None, offset: int = 0) -> None:
        self._wanted = wanted
        self._offset = offset
        self._held: list[_Token] = []
        self.count = 0
        self.total = 0.0

    @property
    def mean(self) -> float:
        """The mean of all tokens' log probabilities; that of an empty answer is lower than any."""
        return self.total / self.count if self.count else float("-inf")

    def add(self, logprobs: dict[str, Any] | None, text: str) -> CompletionLogprobs | None:
        """Take what the engine told with a piece.

        Args:
            logprobs: its `logprobs`.
            text: the piece.

        Returns:
            The tokens that the piece completes; None where there are none, or nobody wants them.
        """
        for one in (logprobs or {}).get("content") or ():
            self.count += 1
            self.total += one["logprob"]
            own = next((top for top in one["top_logprobs"] if top["id"] == one["id"]), None)
            self._held.append(_Token(None if own is None else _shown(own), one["logprob"], one["top_logprobs"]))
        if not text or not self._held:
            return None
        held, self._held = self._held, []
        begin, self._offset = self._offset, self._offset + len(text)
        if self._wanted is None:
            return None
        found = CompletionLogprobs(tokens=[], token_logprobs=[], top_logprobs=[], text_offset=[])
        left = text
        for number, token in enumerate(held):
            own_text = _left_over(left, held[number + 1 :]) if token.text is None else token.text
            found.tokens.append(own_text)
            found.token_logprobs.append(token.logprob)
            found.text_offset.append(begin + len(text) - len(left))
            likeliest = {_shown(top): top["logprob"] for top in token.top[: self._wanted]}
            found.top_logprobs.append({**likeliest, own_text: token.logprob})
            left = left[len(own_text) :] if left.startswith(own_text) else left
        return found


def _left_over(text: str, later: list[_Token]) -> str:
    """What of a text is not of the tokens that come later."""
    for token in reversed(later):
        if token.text is None or not text.endswith(token.text):
            break
        text = text[: len(text) - len(token.text)]
    return text


def _shown(token: dict[str, Any]) -> str:
    """A token as the API shows it: text, or its bytes where they are no whole characters."""
    raw = bytes(token.get("bytes") or ())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)
