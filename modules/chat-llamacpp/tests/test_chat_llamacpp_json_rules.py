from __future__ import annotations

import datetime
import ipaddress
import json
import re
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jan_chat_llamacpp.grammar import Grammar
from jan_chat_llamacpp.json_rules import FORMATS, use
from pydantic_core import from_json

READ = {
    "date": datetime.date.fromisoformat,
    "time": lambda text: datetime.time.fromisoformat(text.replace("Z", "+00:00")),
    "date-time": lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")),
    "uuid": uuid.UUID,
    "ipv4": ipaddress.IPv4Address,
    "email": lambda text: re.fullmatch(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", text)[0],  # type: ignore[index]
}


def rule(name: str) -> Grammar:
    grammar = Grammar()
    use(grammar, name)
    return grammar


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("name", ["string", "number", "whole", "boolean", "null", "object", "array"])
def test_what_a_rule_lets_through_is_json(pattern_of: Any, name: str, data: st.DataObject) -> None:
    if name in ("object", "array"):  # nested ones are too long an expression to make text of
        grammar = rule(name)
        grammar.rules["value"] = [["string"], ["number"], ["boolean"], ["null"]]
        pattern = pattern_of(grammar, name)
    else:
        pattern = pattern_of(rule(name), name)
    text = data.draw(st.from_regex(pattern, fullmatch=True))
    from_json(text, allow_inf_nan=False)


@pytest.mark.parametrize(
    "value", ["a", "", 'q"\\\n\t', "é😀", 0, -12, 1.5, 1e20, True, None, [1, ["a"]], {"a": {"b": []}}]
)
def test_json_on_one_line_is_let_through(pattern_of: Any, value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        if "\\ud" in text:
            continue  # half a character alone would be no text, so escapes have none of the two halves
        assert re.fullmatch(pattern_of(rule("value"), "value"), text), text


@pytest.mark.parametrize(
    "text", ["01", "+1", "1.", ".5", '"\n"', '"\\x"', '"\\ud800"', "tru", "[1,2]", '{"a":1}', "1e999"]
)
def test_what_is_no_json_or_another_way_to_write_it_is_not(pattern_of: Any, text: str) -> None:
    assert not re.fullmatch(pattern_of(rule("value"), "value"), text)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("form", FORMATS)
def test_formats_are_what_they_say(pattern_of: Any, form: str, data: st.DataObject) -> None:
    READ[form](data.draw(st.from_regex(pattern_of(rule(form), form), fullmatch=True)))


@pytest.mark.parametrize(("form", "text"), [("date", "2024-01-31"), ("date", "2023-02-28"), ("ipv4", "255.0.10.1")])
def test_common_values_of_formats_come(pattern_of: Any, form: str, text: str) -> None:
    assert re.fullmatch(pattern_of(rule(form), form), text)
