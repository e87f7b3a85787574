from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jan_chat_llamacpp.call_text import (
    CallReader,
    Said,
    call_text,
    instructions,
    past_calls,
    readable_arguments,
    result_text,
)
from jan_chat_llamacpp.tools import Calling, Tool

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
CALLS = st.lists(
    st.tuples(st.sampled_from(["add", "get-it"]), st.dictionaries(st.text(max_size=4), VALUES, max_size=3)), max_size=3
)


def read(pieces: list[str]) -> tuple[str, list[tuple[str, str]]]:
    """The text and the calls of an answer that comes in these pieces."""
    reader = CallReader()
    said = [part for piece in pieces for part in reader.feed(piece)] + reader.end()
    calls: list[tuple[str, str]] = []
    for part in said:
        assert part.text
        if part.kind == "name":
            calls.append((part.text, ""))
        elif part.kind == "arguments":
            calls[-1] = (calls[-1][0], calls[-1][1] + part.text)
    return "".join(part.text for part in said if part.kind == "text"), calls


@given(text=st.text("ab <>tol_c\n", max_size=20), calls=CALLS, data=st.data())
def test_calls_and_text_are_told_apart_however_they_are_cut(text: str, calls: Any, data: st.DataObject) -> None:
    if "<tool_call>" in text:
        return
    written = [(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]
    whole = text + past_calls(written)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(pieces) == (text.rstrip() if calls else text, written)
    assert read(list(whole)) == (text.rstrip() if calls else text, written)


def test_text_is_told_at_once_and_only_what_may_be_a_call_is_held_back() -> None:
    reader = CallReader()
    assert reader.feed("Hello") == [Said("text", "Hello")]
    assert reader.feed(" \n") == []
    assert reader.feed("you <tool") == [Said("text", " \nyou")]
    assert reader.feed("s>") == [Said("text", " <tools>")]
    assert reader.feed("<") == []
    assert reader.end() == [Said("text", "<")]
    assert reader.end() == []


def test_arguments_are_told_as_they_come() -> None:
    reader = CallReader()
    assert reader.feed('<tool_call>\n{"name": "ad') == []
    assert reader.feed('d", "arguments": {"a') == [Said("name", "add"), Said("arguments", '{"a')]
    assert reader.feed('}\\"}') == [Said("arguments", '}\\"}')]
    assert reader.feed('": 1}}\n</tool_call>') == [Said("arguments", '": 1}')]
    assert reader.feed(" and more") == []
    assert reader.end() == []


def test_a_call_that_is_cut_off_is_no_text() -> None:
    for cut in ('<tool_call>\n{"na', '<tool_call>\n{"name": "add", "argu'):
        assert read([cut]) == ("", [])
    assert read(['<tool_call>\n{"name": "add", "arguments": {"a": ']) == ("", [("add", '{"a": ')])


@pytest.mark.parametrize(
    ("arguments", "read_as"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ('{"a": ', {"invalid_json": '{"a": '}),
        ("[1]", {"invalid_json": "[1]"}),
        ("[" * 100_000, {"invalid_json": "[" * 100_000}),
    ],
)
def test_past_arguments_are_json_for_the_template_whatever_the_model_wrote(arguments: str, read_as: Any) -> None:
    assert json.loads(readable_arguments(arguments)) == read_as


def test_what_the_model_is_told() -> None:
    tool = Tool("add", "adds", {"type": "object"}, False, "at")
    told = instructions(Calling((tool,), "auto", 8))
    assert '{"name": "add", "parameters": {"type": "object"}, "description": "adds"}' in told
    assert "in words" in told
    assert "Answer with a call." in instructions(Calling((tool,), "required", 1))
    assert "or more" in instructions(Calling((tool,), "required", 8))
    assert call_text("add", "{}") == '<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call>'
    assert result_text("5") == "<tool_response>\n5\n</tool_response>"


def test_an_answer_of_calls_alone_has_no_text_when_it_is_cut() -> None:
    for cut in ("<", "<tool_c", "<tool_call>", '<tool_call>\n{"name": "ad'):
        reader = CallReader(forced=True)
        assert reader.feed(cut) + reader.end() == []


def test_what_may_be_a_mark_is_text_only_where_the_model_has_ended() -> None:
    for begun in ("<", "\n<tool_", " <tool_call"):
        for cut, left in ((False, begun), (True, "")):
            reader = CallReader()
            told = [*reader.feed(f"a{begun}"), *reader.end(cut=cut)]
            assert "".join(said.text for said in told) == f"a{left}"


def test_it_tells_whether_a_call_is_cut() -> None:
    reader = CallReader()
    reader.feed('<tool_call>\n{"name": "add", "arguments": {"a": ')
    assert reader.within
    reader.feed("1}")
    assert not reader.within
