from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jan_chat_llamacpp.grammar import Grammar
from jan_chat_llamacpp.number_rules import integer_rule, number_rule

WHOLE = st.integers(-12_000, 12_000)


@settings(max_examples=60, deadline=None)
@given(low=WHOLE, span=st.integers(0, 3000), data=st.data())
def test_whole_numbers_between_bounds_and_no_others(pattern_of: Any, low: int, span: int, data: st.DataObject) -> None:
    grammar = Grammar()
    pattern = re.compile(pattern_of(grammar, integer_rule(grammar, low, low + span, "")))
    for value in {low, low + span, low - 1, low + span + 1, -low, data.draw(WHOLE)}:
        assert (pattern.fullmatch(str(value)) is not None) is (low <= value <= low + span), value


@pytest.mark.parametrize(
    ("low", "high", "yes", "no"),
    [
        (5, None, ["5", "10", "999999999999999"], ["4", "-5", "05", "5.0"]),
        (None, 5, ["5", "0", "-1", "-999999999999999"], ["6", "10", "-0"]),
        (None, -5, ["-5", "-10"], ["-4", "0", "5"]),
        (10**14, 10**14, ["100000000000000"], ["1"]),
    ],
)
def test_one_bound(pattern_of: Any, low: int | None, high: int | None, yes: list[str], no: list[str]) -> None:
    grammar = Grammar()
    pattern = re.compile(pattern_of(grammar, integer_rule(grammar, low, high, "")))
    assert [text for text in yes if not pattern.fullmatch(text)] == []
    assert [text for text in no if pattern.fullmatch(text)] == []


def test_bounds_that_exclude_each_other_leave_nothing() -> None:
    grammar = Grammar()
    assert grammar.rules[integer_rule(grammar, 3, 2, "")] == []
    assert grammar.rules[number_rule(grammar, 3, 3, True, False, "")] == []


@settings(max_examples=60, deadline=None)
@given(
    low=st.integers(-300, 300),
    span=st.integers(0, 300),
    without=st.tuples(st.booleans(), st.booleans()),
    data=st.data(),
)
def test_decimals_between_bounds(
    pattern_of: Any, low: int, span: int, without: tuple[bool, bool], data: st.DataObject
) -> None:
    grammar = Grammar()
    name = number_rule(grammar, low, low + span, *without, "")
    if not grammar.rules[name]:
        return
    pattern = pattern_of(grammar, name)
    value = float(data.draw(st.from_regex(pattern, fullmatch=True)))
    assert low < value or (low == value and not without[0])
    assert value < low + span or (value == low + span and not without[1])


@pytest.mark.parametrize(
    ("arguments", "yes", "no"),
    [
        ((0, 1, True, False), ["0.5", "0.001", "1"], ["0", "0.0", "1.5", "-0.5"]),
        ((None, 0, False, True), ["-0.5", "-3", "-3.25"], ["0", "-0", "-0.0", "1"]),
        ((-2, 2, False, False), ["-2", "-1.5", "-0.5", "0", "0.5", "2"], ["-2.5", "2.5", "3"]),
        ((3, None, False, False), ["3", "3.5", "1000.125"], ["2.9"]),
    ],
)
def test_decimals_at_the_edges(pattern_of: Any, arguments: Any, yes: list[str], no: list[str]) -> None:
    grammar = Grammar()
    pattern = re.compile(pattern_of(grammar, number_rule(grammar, *arguments, "")))
    assert [text for text in yes if not pattern.fullmatch(text)] == []
    assert [text for text in no if pattern.fullmatch(text)] == []
