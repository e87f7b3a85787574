from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from jan_chat_llamacpp.grammar import Grammar, reference

Pattern = Callable[[Grammar, str], str]


@pytest.fixture(scope="session")
def pattern_of() -> Pattern:
    """A grammar's rule as a regular expression, nested at most three deep where it nests without end."""
    return lambda grammar, name: _of_rule(grammar, name, ())


def _of_rule(grammar: Grammar, name: str, above: tuple[str, ...]) -> str:
    if above.count(name) > 2:
        return "(?!)"
    inner = [[_of_token(grammar, token, (*above, name)) for token in tokens] for tokens in grammar.rules[name]]
    return f"(?:{'|'.join(''.join(tokens) for tokens in inner)})"


def _of_token(grammar: Grammar, token: str, above: tuple[str, ...]) -> str:
    rule = reference(token)
    if rule is not None:
        return _of_rule(grammar, rule[0], above) + token[len(re.match(r"[a-z0-9-]+", token)[0]) :]  # type: ignore[index]
    if token.startswith('"'):
        text, _, more = token.rpartition('"')
        return f"(?:{re.escape(json.loads(text + chr(34)))}){more}"
    return token
