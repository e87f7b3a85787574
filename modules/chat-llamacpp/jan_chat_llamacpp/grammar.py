"""A grammar in the engine's notation (GBNF), built rule by rule.

A rule is a list of alternatives, an alternative a list of tokens. A token is a literal, a class of characters, or the
name of a rule, each with `?`, `*`, `+` or `{m,n}` after it where it repeats. Nothing else, so that a grammar can be
looked at (`grammar_check`) before the engine reads it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from jan_core.errors import InvalidRequest

Rule = list[list[str]]

MOST_REPEATED = 2000
"""Repetitions of one token; the engine refuses a grammar with more."""
MOST_COPIES = 10_000
"""Repetitions of all tokens together: the engine writes every one out."""
MOST_RULES = 8000
MOST_TEXT = 256 << 10
"""Characters of a grammar."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_REFERENCE = re.compile(r"([a-z][a-z0-9-]*)([?*+]|\{(\d+),\d*\})?")


class TooLarge(InvalidRequest):
    """400: what is asked for makes a grammar that would slow down every token."""

    code = "invalid_json_schema"


def literal(text: str) -> str:
    """A token that is this text."""
    return '"' + "".join(_ESCAPES.get(char) or _plain(char) for char in text) + '"'


def _plain(char: str) -> str:
    return char if char.isprintable() else f"\\u{ord(char):04x}" if ord(char) < 1 << 16 else f"\\U{ord(char):08x}"


def repeated(token: str, least: int, most: int | None) -> str:
    """A token that stands for `least` to `most` of another; None is without end."""
    return f"{token}{{{least},{'' if most is None else most}}}"


@lru_cache(maxsize=1 << 14)
def reference(token: str) -> tuple[str, bool] | None:
    """The rule that a token names, and whether it may be left out; None for literals and classes."""
    found = _REFERENCE.fullmatch(token)
    if found is None:
        return None
    return found[1], found[2] in ("?", "*") or found[3] == "0"


class Grammar:
    """Rules by name; `root` is where the engine begins."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.places: dict[str, str] = {}
        """Which part of the request a rule was made for."""
        self.apart: set[str] = set()
        """Rules whose alternatives soon differ, by the way they were made."""
        self.schemas: list[str] = []
        """The places of the schemas that it is made of."""
        self._copies = 0
        self._last = 0

    def name(self, prefix: str) -> str:
        """A name that no rule has."""
        self._last += 1
        return f"{prefix}-{self._last}"

    def add(self, name: str, alternatives: Rule, at: str = "") -> str:
        """Add a rule; returns its name.

        Args:
            name: a new name; `name()` gives one.
            alternatives: what it stands for; an empty alternative stands for nothing.
            at: the part of the request that it was made for.

        Raises:
            TooLarge: the grammar has too many rules.
        """
        if len(self.rules) >= MOST_RULES:
            at = at or (self.schemas[-1] if self.schemas else "")
            raise TooLarge(f"{at or 'the request'}: too much to be enforced; make it smaller.", param=at or None)
        self.rules[name] = alternatives
        self.places[name] = at
        return name

    def repeat(self, token: str, least: int, most: int | None, at: str) -> str:
        """`repeated`, counted.

        Raises:
            TooLarge: there are too many repetitions, here or altogether.
        """
        self._copies += max(least, most or 0)
        if max(least, most or 0) > MOST_REPEATED or self._copies > MOST_COPIES:
            raise TooLarge(
                f"{at}: at most {MOST_REPEATED} repetitions can be enforced, and {MOST_COPIES} in the whole request.",
                param=at,
            )
        return repeated(token, least, most)

    def text(self) -> str:
        """The grammar as the engine reads it.

        Raises:
            TooLarge: it is too long.
        """
        lines = {}
        for name, alternatives in self.rules.items():
            body = " | ".join(" ".join(tokens) if tokens else '""' for tokens in alternatives)
            lines[name] = f"{name} ::= {body}\n"
        text = "".join(lines.values())
        if len(text) > MOST_TEXT:
            at = self._largest({name: len(line) for name, line in lines.items()})
            raise TooLarge(f"{at or 'the request'}: too much to be enforced; make the schema smaller.", param=at)
        return text

    def _largest(self, sizes: dict[str, int]) -> str | None:
        """The place of the schema whose rules are the largest."""
        found = dict.fromkeys(self.schemas, 0)
        for name, size in sizes.items():
            at = self.places[name]
            for place in found:
                if at == place or at.startswith((f"{place}.", f"{place}[")):
                    found[place] += size
        return max(found, key=lambda place: found[place], default=None)


def until(grammar: Grammar, name: str, tag: str, then: list[str], *, may_end: bool) -> str:
    """Add rules for any text up to and with a tag, and for what follows it; returns the first rule's name.

    Args:
        grammar: where the rules go.
        name: the beginning of their names.
        tag: the text looked for; it does not occur before.
        then: the tokens after it.
        may_end: True where the text may also end without the tag.
    """
    for state in range(len(tag)):
        alternatives: Rule = []
        for char in sorted(set(tag)):
            reached = _longest_begin(tag, tag[:state] + char)
            if reached == len(tag):
                alternatives.append([literal(char), *then])
            elif reached:
                alternatives.append([literal(char), f"{name}-{reached}"])
        known = {char for char in set(tag) if _longest_begin(tag, tag[:state] + char)}
        alternatives.append(["[^" + "".join(re.escape(char) for char in sorted(known)) + "]", f"{name}-0"])
        if may_end:
            alternatives.append([])
        grammar.add(f"{name}-{state}", alternatives)
    return f"{name}-0"


def _longest_begin(tag: str, read: str) -> int:
    return next(length for length in range(len(tag), -1, -1) if read.endswith(tag[:length]))
