"""The loop that reads a prompt and writes an answer, token by token."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jan_ctransformers.vocabulary import Vocabulary
from jan_ctransformers.writing import Writing

GREEDY = 0.01
"""A temperature below is 0: the library divides by it."""


class _Model(Protocol):
    size: int

    def evaluate(self, tokens: Sequence[int], past: int, threads: int) -> None: ...
    def sample(
        self, last: Sequence[int], top_k: int, top_p: float, temperature: float, penalty: float, seed: int
    ) -> int: ...


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; the defaults are the library's own.

    Attributes:
        max_tokens: of the answer; None for as many as the context holds, 0 to count the prompt only.
        repeat_last_n: the latest tokens that `repeat_penalty` is for.
        seed: None for one that nobody knows.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 40
    repeat_penalty: float = 1.1
    repeat_last_n: int = 64
    seed: int | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()


class Session:
    """A loaded model and the tokens it has read: what a prompt has in common with them is not read again.

    Args:
        model: the loaded model.
        vocabulary: its vocabulary.
        context: tokens of prompt and answer together.
        threads: to compute with.
        batch: tokens of a prompt in one go. Fixed, since the last digits of what comes out depend on it.
        rewinds: whether the model can go on after some of what it has read, as well as after all of it.
    """

    def __init__(
        self, model: _Model, vocabulary: Vocabulary, context: int, threads: int, batch: int, rewinds: bool = True
    ) -> None:
        self._model = model
        self._vocabulary = vocabulary
        self.context = context
        self._threads = threads
        self._batch = batch
        self._rewinds = rewinds
        self._read: list[int] = []

    def answer(self, prompt: list[int], sampling: Sampling, on_piece: Callable[[dict[str, Any]], bool]) -> None:
        """Write an answer.

        Args:
            prompt: 1 to `context` - 1 tokens of the vocabulary.
            sampling: how tokens are chosen.
            on_piece: takes, first of all, `prompt_tokens` and `cached_tokens`; nothing for each part of the prompt; for
                each token the `text` that can be shown now (maybe none) and `completion_tokens` so far; at the end
                `finish_reason`. It returns True where the caller has left.

        Raises:
            RuntimeError: the library failed.
        """
        if sampling.max_tokens == 0:
            if not on_piece({"prompt_tokens": len(prompt), "cached_tokens": 0}):
                on_piece({"text": "", "completion_tokens": 0, "finish_reason": "length"})
            return
        same = 0
        most = min(len(prompt) - 1, len(self._read))  # the last one is read anew: its outcome is what is sampled
        while same < most and prompt[same] == self._read[same]:
            same += 1
        if same < len(self._read) and not self._rewinds:
            same = 0
        del self._read[same:]
        if on_piece({"prompt_tokens": len(prompt), "cached_tokens": same}) or self._take_in(prompt, on_piece):
            return
        self._write(sampling, on_piece)

    def _take_in(self, prompt: list[int], on_piece: Callable[[dict[str, Any]], bool]) -> bool:
        """Read the prompt in parts, each of which the request can be left after. Returns True where it was left."""
        while len(self._read) < len(prompt):
            at = len(self._read)
            self._evaluate(prompt[at : at + self._batch])
            if on_piece({}):
                return True
        return False

    def _evaluate(self, tokens: list[int]) -> None:
        self._model.evaluate(tokens, len(self._read), self._threads)
        self._read += tokens

    def _write(self, sampling: Sampling, on_piece: Callable[[dict[str, Any]], bool]) -> None:
        writing = Writing(sampling.stop)
        # The library makes a new generator for each token: each gets a seed of its own, or all draws would be one.
        seeds = random.Random(sampling.seed)
        room = self.context - len(self._read)
        limit = room if sampling.max_tokens is None else min(room, sampling.max_tokens)
        written = 0
        while True:
            token = self._choose(sampling, seeds.getrandbits(31))
            written += 1
            text = "" if token in self._vocabulary.ends else writing.add(self._vocabulary.piece(token))
            reason = "stop" if token in self._vocabulary.ends or writing.stopped else None
            if reason is None and written >= limit:
                reason = "length"
            if reason is not None:
                text += "" if writing.stopped else writing.rest()
                on_piece({"text": text, "completion_tokens": written, "finish_reason": reason})
                return
            if on_piece({"text": text, "completion_tokens": written}):
                return
            self._evaluate([token])

    def _choose(self, sampling: Sampling, seed: int) -> int:
        last = self._read[-sampling.repeat_last_n :] if sampling.repeat_last_n else []
        size = self._model.size
        if sampling.temperature < GREEDY:
            return self._model.sample(last, 1, 1.0, 1.0, sampling.repeat_penalty, seed)
        top_k = min(sampling.top_k or size, size)
        return self._model.sample(last, top_k, sampling.top_p, sampling.temperature, sampling.repeat_penalty, seed)
