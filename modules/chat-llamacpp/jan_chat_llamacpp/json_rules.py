"""Rules for JSON as such, and for the formats of strings that can be enforced.

JSON is written in one way only, with a space after `:` and `,` and nowhere else: as a model mostly writes it on one
line. Free whitespace would let a weak model fill its answer with blanks.
"""

from __future__ import annotations

from jan_chat_llamacpp.grammar import Grammar, Rule, literal, reference

COMMA, COLON = '", "', '": "'
_HEX = "[0-9a-fA-F]"

_RULES: dict[str, Rule] = {
    # Escapes leave out surrogates, of which a half would be no text.
    "char": [['[^"\\\\\\x00-\\x1F\\x7F]'], [literal("\\"), "escape"]],
    "escape": [
        ['["\\\\/bfnrt]'],
        ['"u"', "[0-9a-cA-CefEF]", _HEX, _HEX, _HEX],
        ['"u"', "[dD]", "[0-7]", _HEX, _HEX],
    ],
    "string": [[literal('"'), "char*", literal('"')]],
    "whole": [['"-"?', "digits"]],
    "digits": [['"0"'], ["[1-9]", "[0-9]{0,14}"]],
    "number": [["whole", "fraction?", "exponent?"]],
    "fraction": [['"."', "[0-9]{1,15}"]],
    "exponent": [["[eE]", "[-+]?", "[0-9]{1,2}"]],
    "boolean": [['"true"'], ['"false"']],
    "null": [['"null"']],
    "object": [['"{"', "entries?", '"}"']],
    "entries": [["entry", "entry-more*"]],
    "entry": [["string", COLON, "value"]],
    "entry-more": [[COMMA, "entry"]],
    "array": [['"["', "items?", '"]"']],
    "items": [["value", "item-more*"]],
    "item-more": [[COMMA, "value"]],
    "value": [["object"], ["array"], ["string"], ["number"], ["boolean"], ["null"]],
    "date": [['"0"', "[1-9]", "year-rest"], ["[1-9]", "[0-9]", "year-rest"]],
    "year-rest": [["[0-9]", "[0-9]", '"-"', "month-day"]],
    # Days that every year has.
    "month-day": [["month", '"-"', "day"], ["month-30", '"-30"'], ["month-30", '"-29"'], ["month-31", '"-31"']],
    "month": [['"0"', "[1-9]"], ['"1"', "[0-2]"]],
    "month-30": [['"0"', "[13-9]"], ['"1"', "[0-2]"]],
    "month-31": [['"0"', "[13578]"], ['"1"', "[02]"]],
    "day": [['"0"', "[1-9]"], ['"1"', "[0-9]"], ['"2"', "[0-8]"]],
    "time": [["hour", '":"', "sixty", '":"', "sixty", "second-part?", "zone"]],
    "second-part": [['"."', "[0-9]{1,6}"]],
    "zone": [['"Z"'], ["[-+]", "hour", '":"', "sixty"]],
    "hour": [["[01]", "[0-9]"], ['"2"', "[0-3]"]],
    "sixty": [["[0-5]", "[0-9]"]],
    "date-time": [["date", '"T"', "time"]],
    "uuid": [["hex{8,8}", '"-"', "hex{4,4}", '"-"', "hex{4,4}", '"-"', "hex{4,4}", '"-"', "hex{12,12}"]],
    "hex": [["[0-9a-f]"]],
    "ipv4": [["byte", '"."', "byte", '"."', "byte", '"."', "byte"]],
    "byte": [["[0-9]"], ["[1-9]", "[0-9]"], ['"1"', "[0-9]", "[0-9]"], ['"2"', "[0-4]", "[0-9]"], ['"25"', "[0-5]"]],
    "email": [["word", "dotted{0,3}", '"@"', "label", "domain{1,5}"]],
    "word": [["[a-zA-Z0-9_-]{1,30}"]],
    "dotted": [['"."', "word"]],
    "label": [["[a-z0-9]{1,30}"]],
    "domain": [['"."', "label"]],
}

FORMATS = ("date", "time", "date-time", "uuid", "ipv4", "email")
"""Values of `format` that are enforced."""


def use(grammar: Grammar, name: str) -> str:
    """Have a rule of this file in a grammar, with those it needs; returns its name."""
    todo = [name]
    while todo:
        one = todo.pop()
        if one in grammar.rules:
            continue
        grammar.add(one, _RULES[one])
        grammar.apart.add(one)
        todo += [found[0] for tokens in _RULES[one] for found in map(reference, tokens) if found is not None]
    return name
