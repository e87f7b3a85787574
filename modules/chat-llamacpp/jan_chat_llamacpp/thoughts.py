"""Thoughts and answer, told apart piece by piece where a template marks thoughts by `<think>` and `</think>`.

The engine does so too, but not with every template; where it does not, thoughts would stand in the answer.
"""

from __future__ import annotations

from typing import Literal

from jan_chat_llamacpp.template_facts import THOUGHT


class ThoughtReader:
    """Tells thoughts from the answer. What may become a mark is held back until it is clear.

    Args:
        opened: True where the prompt ends within thoughts, so that no mark begins them.
    """

    def __init__(self, opened: bool) -> None:
        self._opened = opened
        self._rest = ""
        self._where: Literal["start", "thoughts", "after", "answer"] = "start"
        self._told = False

    @property
    def answering(self) -> bool:
        """Whether the answer has begun."""
        return self._where == "answer"

    def feed(self, text: str) -> tuple[str, str]:
        """Read on; returns the thoughts and the text that are certain now."""
        if self._where == "answer":
            return "", text
        self._rest += text
        thoughts = ""
        if self._where == "start":
            self._start()
        if self._where == "thoughts":
            thoughts = self._think()
        if self._where == "after":
            self._rest = self._rest.lstrip()
            if self._rest:
                self._where = "answer"
        if self._where != "answer":
            return thoughts, ""
        answer, self._rest = self._rest, ""
        return thoughts, answer

    def end(self) -> tuple[str, str]:
        """The answer has ended: what was held back, as thoughts and as text."""
        rest, self._rest = self._rest, ""
        if self._where == "thoughts" or (self._where == "start" and self._opened):
            return rest.rstrip() if self._told else rest.strip(), ""
        return "", rest

    def _start(self) -> None:
        begun = self._rest.lstrip()
        if begun.startswith(THOUGHT[0]):
            self._rest = begun[len(THOUGHT[0]) :]
            self._where = "thoughts"
        elif not THOUGHT[0].startswith(begun):
            self._where = "thoughts" if self._opened else "answer"

    def _think(self) -> str:
        if not self._told:
            self._rest = self._rest.lstrip()
        position = self._rest.find(THOUGHT[1])
        if position >= 0:
            thoughts, self._rest = self._rest[:position].rstrip(), self._rest[position + len(THOUGHT[1]) :]
            self._where = "after"
        else:
            begun = next(length for length in range(len(THOUGHT[1]) - 1, -1, -1) if self._ends_with(length))
            sure = len(self._rest[: len(self._rest) - begun].rstrip())
            thoughts, self._rest = self._rest[:sure], self._rest[sure:]
        self._told = self._told or bool(thoughts)
        return thoughts

    def _ends_with(self, length: int) -> bool:
        return self._rest.endswith(THOUGHT[1][:length])
