from __future__ import annotations

from typing import Any

import pytest
from jan_chat_llamacpp.grammar import Grammar
from jan_chat_llamacpp.grammar_check import check_rules, circular, endless, first_characters, too_wide
from jan_chat_llamacpp.schema_words import UnsupportedSchema


def grammar(**rules: Any) -> Grammar:
    found = Grammar()
    for name, alternatives in rules.items():
        found.add(name, alternatives, f"at.{name}")
    return found


def test_rules_that_no_finite_text_matches() -> None:
    assert endless(grammar(a=[['"x"', "a"]], b=[["a"], ['"x"']], c=[["a?"]], d=[["a*", "b"]], e=[])) == {"a", "e"}


def test_rules_that_begin_with_themselves() -> None:
    assert circular(grammar(a=[["b"]], b=[["a"], ['"x"']], c=[['"x"', "c"]], d=[["e?", "d"]], e=[['"y"']])) == {
        "a",
        "b",
        "d",
    }


def test_what_a_rule_may_begin_with() -> None:
    found = first_characters(
        grammar(a=[['"-"?', "[0-3]"]], b=[["a"], ['"\\"x"']], c=[['[^"]']], d=[["b?", '"z"']], e=[["[-+]"]])
    )
    assert found["a"] == set("-0123")
    assert found["b"] == set('-0123"')
    assert len(found["c"]) > 90
    assert found["d"] == set('-0123"z')
    assert found["e"] == set("-+")


def nested(levels: int, second: str) -> Grammar:
    """Levels of two alternatives each, of which the second begins with `second` where the first begins with `[`."""
    rules = {f"l{level}": [['"["', f"l{level + 1}"], [second, f"l{level + 1}"]] for level in range(levels)}
    return grammar(**rules, **{f"l{levels}": [['"x"']]})


def test_alternatives_that_begin_alike_multiply_and_others_do_not() -> None:
    assert too_wide(nested(5, '"["'), "l0") == set()
    assert too_wide(nested(20, '"["'), "l0") != set()
    assert too_wide(nested(20, '"{"'), "l0") == set()


def test_a_circle_with_alternatives_that_begin_alike_is_too_wide() -> None:
    assert too_wide(grammar(a=[['"["', "a"], ['"["', "a", '"]"'], ['"x"']]), "a") == {"a"}
    assert too_wide(grammar(a=[['"["', "a"], ['"["', '"x"']]), "a") == set()
    assert too_wide(grammar(a=[['"[1"', "a"], ['"[2"', "a"], ['"x"']]), "a") == set()


def test_a_long_chain_of_rules_is_looked_at_without_end_of_the_stack() -> None:
    long = grammar(r3000=[['"x"']], **{f"r{n}": [[f"r{n + 1}"], ['"y"', f"r{n + 1}"]] for n in range(2999, -1, -1)})
    assert circular(long) == endless(long) == set()
    too_wide(long, "r0")


def test_the_place_of_what_is_wrong_is_named() -> None:
    with pytest.raises(UnsupportedSchema, match="at.a: nothing can follow it") as refused:
        check_rules(grammar(a=[['"x"', "a"]]), "a")
    assert refused.value.param == "at.a"
    with pytest.raises(UnsupportedSchema, match="leads back to itself"):
        check_rules(grammar(a=[["a"], ['"x"']]), "a")
    with pytest.raises(UnsupportedSchema, match="begin alike"):
        check_rules(nested(20, '"["'), "l0")
    check_rules(grammar(a=[['"x"']]), "a")
