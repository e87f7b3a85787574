from __future__ import annotations

import re
from typing import Any

import pytest
from jan_chat_llamacpp.grammar import (
    MOST_COPIES,
    MOST_REPEATED,
    MOST_RULES,
    Grammar,
    TooLarge,
    literal,
    reference,
    repeated,
    until,
)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("a b", '"a b"'),
        ('say "x"', '"say \\"x\\""'),
        ("a\\b\n\t\r", '"a\\\\b\\n\\t\\r"'),
        ("\x00\u2028", '"\\u0000\\u2028"'),
    ],
)
def test_a_literal_is_written_so_that_it_stands_for_itself(text: str, token: str) -> None:
    assert literal(text) == token
    assert literal("é😀") == '"é😀"'
    assert literal("\U000e0001") == '"\\U000e0001"'


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("rule-1", ("rule-1", False)),
        ("rule-1?", ("rule-1", True)),
        ("rule*", ("rule", True)),
        ("rule+", ("rule", False)),
        ("rule{0,4}", ("rule", True)),
        ("rule{2,}", ("rule", False)),
        ('"rule"', None),
        ("[a-z]", None),
        ("[a-z]{1,2}", None),
    ],
)
def test_what_a_token_names(token: str, found: Any) -> None:
    assert reference(token) == found


def test_a_grammar_is_written_rule_by_rule() -> None:
    grammar = Grammar()
    grammar.add("root", [[literal("a"), "more?"], []])
    grammar.add("more", [["[b-c]{1,2}"]])
    assert grammar.text() == 'root ::= "a" more? | ""\nmore ::= [b-c]{1,2}\n'
    assert repeated("more", 1, None) == "more{1,}"
    assert grammar.name("x") != grammar.name("x")


def test_repetitions_and_rules_have_an_end() -> None:
    grammar = Grammar()
    assert grammar.repeat("x", 0, MOST_REPEATED, "at") == f"x{{0,{MOST_REPEATED}}}"
    with pytest.raises(TooLarge, match="at.maxLength") as refused:
        grammar.repeat("x", 0, MOST_REPEATED + 1, "at.maxLength")
    assert refused.value.param == "at.maxLength"
    for _ in range(MOST_COPIES // MOST_REPEATED - 3):
        grammar.repeat("x", MOST_REPEATED, None, "at")
    for number in range(MOST_RULES):
        grammar.add(f"rule-{number}", [[]])
    with pytest.raises(TooLarge):
        grammar.repeat("x", MOST_REPEATED, None, "at")
    with pytest.raises(TooLarge):
        grammar.add("one-more", [[]])
    large = Grammar()
    large.add("root", [[literal("x" * 300_000)]])
    with pytest.raises(TooLarge) as refused:
        large.text()
    assert (refused.value.code, refused.value.param) == ("invalid_json_schema", None)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", True),
        ("hello < world", True),
        ("<to", True),
        ("<<to", True),
        ("<tool>!", True),
        ("a<<tool>!", True),
        ("<to<tool>!", True),
        ("<tool>", False),
        ("<tool>?", False),
        ("<tool>! more", False),
    ],
)
def test_text_up_to_a_tag_and_what_follows_it(text: str, whole: bool) -> None:
    grammar = Grammar()
    first = until(grammar, "text", "<tool>", [literal("!")], may_end=True)
    assert _reads(grammar, first, text) is whole


def test_text_that_may_not_end_without_its_tag() -> None:
    grammar = Grammar()
    first = until(grammar, "text", "</t>", [literal("!")], may_end=False)
    assert not _reads(grammar, first, "abc")
    assert _reads(grammar, first, "abc</t>!")


def _reads(grammar: Grammar, name: str, text: str) -> bool:
    """Whether a rule of `until`, whose alternatives each take one character and name the next rule, reads a text."""
    if not text:
        return [] in grammar.rules[name]
    for tokens in grammar.rules[name]:
        if not tokens:
            continue
        first, *rest = tokens
        fits = re.fullmatch(first, text[0]) if first.startswith("[") else first == literal(text[0])
        if fits and (rest[0] in grammar.rules and _reads(grammar, rest[0], text[1:])):
            return True
        if fits and rest[0] not in grammar.rules:
            return rest == [literal(text[1:])]
    return False
