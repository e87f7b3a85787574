"""What is wrong with a grammar, before the engine reads it: it would end, hang or refuse without naming the place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from jan_chat_llamacpp.grammar import Grammar, reference
from jan_chat_llamacpp.schema_words import unsupported

MOST_WIDTH = 512
"""Ways to read the same beginning of an answer that the engine follows side by side, at each token."""

_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
_CLASS = re.compile(r"\[([^\]]*)\]")
_PREFIX = 400
"""Characters of an alternative's beginning that are compared."""


def check_rules(grammar: Grammar, root: str) -> None:
    """Look at a grammar that has all its rules.

    Raises:
        UnsupportedSchema: a part of a schema lets nothing through, or would keep the engine from answering.
    """
    looks: list[tuple[Callable[[], set[str]], str]] = [
        (lambda: circular(grammar), "it leads back to itself without an object or an array between."),
        (lambda: endless(grammar), "nothing can follow it: it contradicts itself, or requires itself within itself."),
        (
            lambda: too_wide(grammar, root),
            "too many of its alternatives begin alike; tell them apart by their first required property.",
        ),
    ]
    for look, why in looks:
        found = look()
        at = next((grammar.places[name] for name in grammar.rules if name in found and grammar.places[name]), None)
        if at is not None:
            unsupported(at, why)


def endless(grammar: Grammar) -> set[str]:
    """The rules that no finite text matches, such as an object that requires another one of its kind."""
    ending: set[str] = set()
    waiting = dict(grammar.rules)
    before = -1
    while waiting and len(waiting) != before:
        before = len(waiting)
        # A rule is mostly made after those that it uses, so that one round decides nearly all.
        for name, alternatives in list(waiting.items()):
            if any(all(_ends(token, ending) for token in tokens) for tokens in alternatives):
                ending.add(name)
                del waiting[name]
    return set(waiting)


def _ends(token: str, ending: set[str]) -> bool:
    rule = reference(token)
    return rule is None or rule[1] or rule[0] in ending


def circular(grammar: Grammar) -> set[str]:
    """The rules that begin with themselves, directly or through others; the engine does not take those."""
    begins = {
        name: {rule[0] for tokens in alternatives for rule in _firsts(tokens)}
        for name, alternatives in grammar.rules.items()
    }
    return {name for group in _circles(begins) for name in group}


def _firsts(tokens: list[str]) -> Iterator[tuple[str, bool]]:
    for token in tokens:
        rule = reference(token)
        if rule is not None:
            yield rule
        if not (rule[1] if rule is not None else token[-1] in "?*"):
            return


def too_wide(grammar: Grammar, root: str) -> set[str]:
    """The rules of which too many alternatives begin alike: each level of nesting multiplies the ways to read."""
    uses = {
        name: {rule[0] for tokens in alternatives for rule in map(reference, tokens) if rule is not None}
        for name, alternatives in grammar.rules.items()
    }
    circles = {name: group for group in _circles(uses) for name in group}
    # Alternatives without another rule in them are read to their end at once: they multiply nothing.
    firsts = first_characters(grammar)
    alike = {
        name: _alike(grammar, name, firsts)
        for name, rule in grammar.rules.items()
        if len(rule) > 1 and uses[name] and name not in grammar.apart
    }
    wide = set()
    for name, group in circles.items():
        for first, others in enumerate(alike.get(name, [])):
            back = [other for other in (first, *others) if _reaches(grammar, name, other, group)]
            if len(back) > 1:
                wide.add(name)
    widths: dict[str, int] = {}
    _measure(grammar, root, alike, widths)
    return wide | {name for name, width in widths.items() if width > MOST_WIDTH}


def _reaches(grammar: Grammar, name: str, alternative: int, group: frozenset[str]) -> bool:
    rules = map(reference, grammar.rules[name][alternative])
    return any(rule is not None and rule[0] in group for rule in rules)


def _measure(grammar: Grammar, root: str, alike: dict[str, list[list[int]]], widths: dict[str, int]) -> None:
    """Fill `widths` from the leaves up; without recursion, for a chain of rules may be long."""
    todo = [(root, False)]
    begun: set[str] = set()
    while todo:
        name, used = todo.pop()
        rule = grammar.rules[name]
        if not used:
            if name in begun:
                continue
            begun.add(name)
            todo.append((name, True))
            todo += [(found[0], False) for tokens in rule for found in map(reference, tokens) if found is not None]
            continue
        each = []
        for tokens in rule:
            names = [found[0] for found in map(reference, tokens) if found is not None]
            each.append(max((widths.get(found, 1) for found in names), default=1))
        groups = alike.get(name, [[]])
        widths[name] = max(each[index] + sum(each[other] for other in groups[index]) for index in range(len(groups)))


def _alike(grammar: Grammar, name: str, known: dict[str, frozenset[str]]) -> list[list[int]]:
    """For each alternative of a rule, the others that may begin with the same text."""
    beginnings = [_beginning(grammar, tokens) for tokens in grammar.rules[name]]
    firsts = [_of_tokens(tokens, known) for tokens in grammar.rules[name]]
    found: list[list[int]] = [[] for _ in beginnings]
    for one in range(len(beginnings)):
        for other in range(one):
            same = beginnings[one].startswith(beginnings[other]) or beginnings[other].startswith(beginnings[one])
            if same and not firsts[one].isdisjoint(firsts[other]):
                found[one].append(other)
                found[other].append(one)
    return found


def _beginning(grammar: Grammar, tokens: list[str], depth: int = 0) -> str:
    """The literal text that an alternative begins with."""
    text = ""
    for token in tokens:
        rule = reference(token)
        if found := _LITERAL.fullmatch(token):
            text += found[1]
        elif rule is not None and not rule[1] and len(grammar.rules.get(rule[0], ())) == 1 and depth < 50:
            inner = grammar.rules[rule[0]][0]
            text += _beginning(grammar, inner, depth + 1)
            if not all(_LITERAL.fullmatch(one) for one in inner):
                return text
        else:
            return text
        if len(text) > _PREFIX:
            return text
    return text


_ALL = frozenset(map(chr, range(32, 127)))


def first_characters(grammar: Grammar) -> dict[str, frozenset[str]]:
    """The printable ASCII characters that each rule may begin with; all of them where that is hard to say."""
    found: dict[str, frozenset[str]] = dict.fromkeys(grammar.rules, frozenset())
    more = True
    while more:
        more = False
        for name, alternatives in grammar.rules.items():
            now = frozenset().union(*(_of_tokens(tokens, found) for tokens in alternatives))
            if now != found[name]:
                found[name] = now
                more = True
    return found


def _of_tokens(tokens: list[str], known: dict[str, frozenset[str]]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for token in tokens:
        rule = reference(token)
        if rule is not None:
            found |= known[rule[0]]
        elif token.startswith('"') and len(token) > 2:
            text = token[1:].rstrip("?*")
            found |= {text[1] if text[0] == "\\" else text[0]}
        elif (inside := _CLASS.match(token)) and not inside[1].startswith("^") and "\\" not in inside[1]:
            found |= _members(inside[1])
        else:
            return _ALL
        if not (rule[1] if rule is not None else token[-1] in "?*"):
            return found
    return found


def _members(inside: str) -> frozenset[str]:
    spread = re.sub(r"(.)-(.)", lambda two: "".join(map(chr, range(ord(two[1]), ord(two[2]) + 1))), inside)
    return frozenset(spread)


def _circles(edges: dict[str, set[str]]) -> list[frozenset[str]]:
    """The groups of names that lead back to each other (Tarjan's algorithm, with a stack of its own)."""
    found: list[frozenset[str]] = []
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    for start in edges:
        if start in order:
            continue
        order[start] = low[start] = len(order)
        path.append(start)
        on_path.add(start)
        todo = [(start, iter(sorted(edges[start])))]
        while todo:
            name, following = todo[-1]
            for other in following:
                if other not in order:
                    order[other] = low[other] = len(order)
                    path.append(other)
                    on_path.add(other)
                    todo.append((other, iter(sorted(edges.get(other, ())))))
                    break
                if other in on_path:
                    low[name] = min(low[name], order[other])
            else:
                todo.pop()
                if todo:
                    low[todo[-1][0]] = min(low[todo[-1][0]], low[name])
                if low[name] == order[name]:
                    cut = path.index(name)
                    group = frozenset(path[cut:])
                    del path[cut:]
                    on_path -= group
                    if len(group) > 1 or name in edges[name]:
                        found.append(group)
    return found
