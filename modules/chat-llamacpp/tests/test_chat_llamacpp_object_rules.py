from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest
from jan_chat_llamacpp.grammar import Grammar, literal
from jan_chat_llamacpp.object_rules import object_rule

NAMES = ["a", "b", "c"]


@pytest.mark.parametrize(
    "required", [some for size in range(4) for some in itertools.combinations(NAMES, size)], ids=str
)
def test_the_required_come_always_and_the_others_as_the_model_likes(pattern_of: Any, required: tuple[str, ...]) -> None:
    grammar = Grammar()
    values = {name: literal("1") for name in NAMES}
    pattern = re.compile(pattern_of(grammar, object_rule(grammar, values, set(required), "at")))
    for size in range(4):
        for some in itertools.permutations(NAMES, size):
            text = json.dumps(dict.fromkeys(some, 1))
            expected = set(required) <= set(some) and list(some) == sorted(some)
            assert (pattern.fullmatch(text) is not None) is expected, text
    assert set(grammar.places.values()) == {"at"}
