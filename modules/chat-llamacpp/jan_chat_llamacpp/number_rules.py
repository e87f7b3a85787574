"""Rules for numbers between bounds, digit by digit."""

from __future__ import annotations

from jan_chat_llamacpp.grammar import Grammar, Rule, literal, repeated

DIGITS = 15
"""Digits before the point where there is no bound: every such whole number is exact in JavaScript too."""
_LARGEST = 10**DIGITS - 1


def integer_rule(grammar: Grammar, low: int | None, high: int | None, at: str) -> str:
    """Add a rule for the whole numbers from `low` to `high`; None is no bound. There must be one."""
    bottom = low if low is not None else min(-_LARGEST, high if high is not None else 0)
    top = high if high is not None else max(_LARGEST, bottom)
    alternatives: Rule = []
    if bottom < 0:
        alternatives += [[literal("-"), *rest] for rest in _between(max(1, -min(top, -1)), -bottom)]
    if top >= 0:
        alternatives += _between(max(0, bottom), top)
    return grammar.add(grammar.name("integer"), alternatives, at)


def number_rule(
    grammar: Grammar, low: int | None, high: int | None, without_low: bool, without_high: bool, at: str
) -> str:
    """Add a rule for the numbers between two whole ones.

    Args:
        grammar: where it goes.
        low: the least; None is no bound.
        high: the greatest; None is no bound.
        without_low: True where `low` itself is not meant.
        without_high: True where `high` itself is not meant.
        at: the part of the request.
    """
    bottom = low if low is not None else min(-_LARGEST, high if high is not None else 0)
    top = high if high is not None else max(_LARGEST, bottom)
    alternatives: Rule = []
    if bottom < 0:
        least, open_least = (-top, without_high) if top < 0 else (0, True)
        positive = _decimals(least, -bottom, open_least, without_low)
        alternatives += [[literal("-"), *rest] for rest in positive]
    if top >= 0:
        least, open_least = (bottom, without_low) if bottom >= 0 else (0, False)
        alternatives += _decimals(least, top, open_least, without_high)
    return grammar.add(grammar.name("number"), alternatives, at)


def _decimals(low: int, high: int, without_low: bool, without_high: bool) -> Rule:
    """Decimals from `low` to `high`, both at least 0."""
    found: Rule = []
    first = low + 1 if without_low else low
    if without_low and low < high:
        found.append([literal(f"{low}."), repeated("[0-9]", 0, DIGITS - 1), "[1-9]"])
    if first < high:
        for tokens in _between(first, high - 1):
            found += [tokens, [*tokens, literal("."), repeated("[0-9]", 1, DIGITS)]]
    if not without_high and first <= high:
        found.append([literal(str(high))])
    return found


def _between(low: int, high: int) -> Rule:
    """The whole numbers from `low` to `high`, both at least 0."""
    found: Rule = []
    while low <= high:
        last = min(high, 10 ** len(str(low)) - 1)
        found += _same_length(str(low), str(last))
        low = last + 1
    return found


def _same_length(low: str, high: str) -> Rule:
    if not low:
        return [[]]
    if low[0] == high[0]:
        return [[literal(low[0]), *rest] for rest in _same_length(low[1:], high[1:])]
    length = len(low) - 1
    first, last = int(low[0]), int(high[0])
    found: Rule = []
    if low[1:] != "0" * length:
        found += [[literal(low[0]), *rest] for rest in _same_length(low[1:], "9" * length)]
        first += 1
    upper: Rule = []
    if high[1:] != "9" * length:
        upper = [[literal(high[0]), *rest] for rest in _same_length("0" * length, high[1:])]
        last -= 1
    if first <= last:
        digit = literal(str(first)) if first == last else f"[{first}-{last}]"
        found.append([digit, repeated("[0-9]", length, length)] if length else [digit])
    return found + upper
