"""Rules for an object whose properties are known: in their order, each that is not required may be missing."""

from __future__ import annotations

import json

from jan_chat_llamacpp.grammar import Grammar, literal
from jan_chat_llamacpp.json_rules import COMMA


def object_rule(grammar: Grammar, values: dict[str, str], required: set[str], at: str) -> str:
    """Add the rules of an object.

    Args:
        grammar: where they go.
        values: for each property the token of its value, in the order in which they come.
        required: the properties that always come.
        at: the object's place in the request.

    Returns:
        The first rule's name.
    """
    # Two chains: what may follow where nothing came yet, and where something did, which needs a comma first.
    fresh: list[str] = []
    after: list[str] = []
    for name, value in reversed(values.items()):
        key = literal(json.dumps(name, ensure_ascii=False) + ": ")
        first, later = [[key, value, *after]], [[COMMA, key, value, *after]]
        if name not in required:
            first.append(fresh)
            later.append(after)
        if first == [[key, value, *after]]:
            fresh = first[0]
        else:
            fresh = [grammar.add(grammar.name("first"), first, at)]
            grammar.apart.update(fresh)  # each begins with another key
        after = [grammar.add(grammar.name("more"), later, at)]
        grammar.apart.update(after)
    return grammar.add(grammar.name("object"), [[literal("{"), *fresh, literal("}")]], at)
