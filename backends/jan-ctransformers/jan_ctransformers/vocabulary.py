"""From text to tokens and back, with the tokens that are no text told apart from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from jan_ctransformers.formats import GGUF
from jan_ctransformers.header import Header

_MARK = b"\x01"
"""A byte that no vocabulary joins with others: what the library puts before a text stands before it."""
_CHUNK = 256
"""Bytes that the library cuts into words at once: its time grows with the square, its stack with the longest word."""
_BREAK = re.compile(rb"\S(?= \S)")
_SPECIAL = re.compile(r"<\|[^<>|\s]{1,40}\|>|</?s>|<unk>|<pad>|<fim_[a-z]{1,10}>|### (?:End|Instruction:|Response:)")
"""What a token of a GGML file that is no text looks like: these files do not say which are."""
_ENDS = ("<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<|end_of_turn|>", "### End", "</s>")
"""Texts of tokens that end an answer, whatever the model."""
_OWN_ENDS = (GGUF, "llama", "falcon")
"""Model types whose end token the library knows; for others it looks for `<|endoftext|>`, and else says 0."""
_SENTENCES = (GGUF, "llama")
"""Model types with a SentencePiece vocabulary, which begins a text with a space."""
_BYTEWISE = ("llama", "falcon")
"""Model types of GGML files at which the library crashes where a text has a byte that is no token."""


class Unreadable(Exception):
    """The vocabulary has no tokens for a text; the message says for which part."""


class _Model(Protocol):
    size: int
    end_token: int
    begin_token: int

    def tokenize(self, text: bytes) -> list[int]: ...
    def detokenize(self, token: int) -> bytes: ...


class Vocabulary:
    """A loaded model's vocabulary.

    Args:
        model: the loaded model.
        kind: its type.
        header: what the file says, of a GGUF file.
        ends: tokens that end an answer besides those that the model names itself.
        begin: the token that a prompt begins with, where `model.json` names one.
    """

    def __init__(
        self, model: _Model, kind: str, header: Header | None, ends: Sequence[int] = (), begin: int | None = None
    ) -> None:
        self._model = model
        self._words = kind not in _SENTENCES
        self.size = model.size
        self._texts = [model.detokenize(token) for token in range(model.size)] if header is None else []
        self.longest = max(map(len, self._texts), default=0) or None
        """Bytes of the longest token; None where that is not known."""
        self._lacking: frozenset[int] = frozenset()
        if header is None and kind in _BYTEWISE:
            self._lacking = frozenset(range(256)) - {text[0] for text in self._texts if len(text) == 1}
        self.special: dict[str, int] = dict(header.special) if header else self._guessed(kind == "llama")
        """Number by text of the tokens that are no text."""
        for token in (*ends, *([] if begin is None else [begin])):
            if token >= self.size:
                raise ValueError(f"model.json names the token {token}; the vocabulary has {self.size}")
        own = {model.end_token} if kind in _OWN_ENDS else set()
        self.ends: frozenset[int] = frozenset(own | {*ends} | {self.special[t] for t in _ENDS if t in self.special})
        """Tokens that end an answer."""
        self.begin = begin
        """The token that every prompt begins with; None for none."""
        if begin is None and kind in _SENTENCES and (header is None or header.add_begin):
            self.begin = model.begin_token
        wants_space = not self._words and (header is None or header.add_space)
        first = [] if self._words or header is None else model.tokenize(b"a")[:1]
        adds_space = any(model.detokenize(token).startswith(b" ") for token in first)
        self._before = b" " if wants_space and not adds_space else b""
        self._mark: list[int] = model.tokenize(_MARK) if adds_space and not wants_space else []
        self._pattern = re.compile("|".join(re.escape(t) for t in sorted(self.special, key=len, reverse=True) if t))

    def _guessed(self, silent: bool) -> dict[str, int]:
        """Those that look like it; where `silent`, also the beginning and the end, which have no text in the file."""
        texts = (text.decode("utf-8", "replace") for text in self._texts)
        found = {text: token for token, text in enumerate(texts) if _SPECIAL.fullmatch(text)}
        known = {"<s>": self._model.begin_token, "</s>": self._model.end_token} if silent else {}
        return found | {text: token for text, token in known.items() if not self._model.detokenize(token)}

    def text_of(self, token: int) -> str:
        """The text that stands for a token that is no text; empty where it has none."""
        return next((text for text, number in self.special.items() if number == token), "")

    def piece(self, token: int) -> bytes:
        """The bytes of a token in an answer; part of a character, maybe."""
        return self._model.detokenize(token)

    def prompt(self, text: str) -> list[int]:
        """The tokens of a prompt: `tokenize`, and the token that it begins with, once.

        Raises:
            Unreadable: see `tokenize`.
        """
        tokens = self.tokenize(text)
        if self.begin is None or tokens[:1] == [self.begin]:
            return tokens
        return [self.begin, *tokens]

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text; what is written like a special token becomes that token.

        Raises:
            Unreadable: the vocabulary has no token for a part of it.
        """
        if "\0" in text:
            raise Unreadable("it holds a zero character, which ctransformers cannot read")
        tokens: list[int] = []
        at = 0
        if self.special:
            for found in self._pattern.finditer(text):
                tokens += self._plain(text[at : found.start()])
                tokens.append(self.special[found[0]])
                at = found.end()
        return tokens + self._plain(text[at:])

    def _plain(self, text: str) -> list[int]:
        if not text:
            return []
        if self._lacking:
            self._find_lacking(self._before.decode() + text)
        data = text.encode("utf-8", "replace")
        if self._words:
            return [token for chunk in _chunks(data) for token in self._exact(chunk)]
        if self._mark:
            found = self._model.tokenize(_MARK + data)
            if found[: len(self._mark)] == self._mark:
                return found[len(self._mark) :]
        return self._model.tokenize(self._before + data)

    def _find_lacking(self, text: str) -> None:
        for character in text:
            data = character.encode("utf-8", "replace")
            if self._lacking.intersection(data) and data not in self._texts:
                raise Unreadable(f"the model's vocabulary has no token for {character!r}")

    def _exact(self, data: bytes) -> list[int]:
        """The library passes over bytes that the vocabulary lacks: that would change the prompt behind one's back."""
        tokens = self._model.tokenize(data)
        if self._texts and b"".join(self._texts[token] for token in tokens) != data:
            kept = {byte for token in tokens for byte in self._texts[token]}
            lost = bytes(byte for byte in data if byte not in kept) or data[:20]
            raise Unreadable(f"the model's vocabulary has no token for {lost.decode('utf-8', 'replace')[:20]!r}")
        return tokens


def _chunks(data: bytes) -> Iterator[bytes]:
    """Cut before words, where that leaves every word as it is; inside one that is longer than a chunk."""
    at = 0
    while len(data) - at > _CHUNK:
        end = at + _CHUNK
        last = None
        for last in _BREAK.finditer(data, at, end):  # noqa: B007 - the last one is wanted
            pass
        if last is not None:
            end = last.end()
        else:
            while data[end] & 0xC0 == 0x80:  # not inside a character
                end -= 1
        yield data[at:end]
        at = end
    yield data[at:]
