from __future__ import annotations

from typing import Any

import pytest
from jan_chat_llamacpp.form import PLAIN, Form, form_of
from jan_chat_llamacpp.schema_words import UnsupportedSchema
from jan_chat_llamacpp.template_facts import TemplateFacts
from jan_chat_llamacpp.tools import read_calling

from jan_core.schemas.chat import ChatCompletionRequest

NONE = TemplateFacts("none", "none", False, False)
SAME = TemplateFacts("same", "none", False, False)
OTHER = TemplateFacts("other", "none", False, False)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": SCHEMA}}]
JSON = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}


def form(facts: TemplateFacts = NONE, *, thinks: bool = True, **fields: Any) -> Form:
    body = ChatCompletionRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    )
    return form_of(body, read_calling(body), facts, thinks=thinks)


@pytest.mark.parametrize("fields", [{}, {"response_format": {"type": "text"}}, {"tools": TOOLS, "tool_choice": "none"}])
def test_any_text_has_no_grammar(fields: Any) -> None:
    assert form(**fields) is PLAIN


def test_json_has_one() -> None:
    found = form(response_format=JSON)
    assert found.grammar is not None
    assert '"\\"a\\": "' in found.grammar
    assert (found.reader, found.thoughts) == ("none", "none")
    for anything in ({"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x"}}):
        grammar = form(response_format=anything).grammar
        assert grammar is not None
        assert "answer ::= object\n" in grammar


@pytest.mark.parametrize(
    ("facts", "choice", "reader"),
    [
        (NONE, "auto", "own"),
        (SAME, "auto", "own"),
        (OTHER, "auto", "engine"),
        (NONE, "required", "own"),
        (SAME, "required", "own"),
        (OTHER, "required", "own"),
    ],
)
def test_who_tells_calls_from_text(facts: TemplateFacts, choice: str, reader: str) -> None:
    found = form(facts, tools=TOOLS, tool_choice=choice)
    assert found.reader == reader
    assert (found.grammar is None) is (reader == "engine")
    if found.grammar is not None:
        may_be_text = "text-0 ::=" in found.grammar
        assert may_be_text is (choice == "auto")
        assert "next-call{0,7}" in found.grammar
        alone = form(facts, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False).grammar
        assert alone is not None
        assert "next-call{" not in alone


def test_json_or_calls_on_every_template() -> None:
    for facts in (NONE, SAME, OTHER):
        found = form(facts, tools=TOOLS, response_format=JSON)
        assert found.reader == "own"
        assert found.grammar is not None
        assert "text-0" not in found.grammar


def test_thoughts_come_first_where_the_template_has_them() -> None:
    must = TemplateFacts("none", "must", True, False)
    may = TemplateFacts("none", "may", False, False)
    assert "root ::= thought-0\n" in (form(must, response_format=JSON).grammar or "")
    assert 'root ::= answer | "<think>" thought-0\n' in (form(may, response_format=JSON).grammar or "")
    assert "root ::= answer\n" in (form(must, thinks=False, response_format=JSON).grammar or "")


def test_thoughts_are_told_apart_in_plain_text_too() -> None:
    must = TemplateFacts("none", "must", True, False)
    assert form(must) == Form(PLAIN.calling, thoughts="must")
    assert form(must, thinks=False) == Form(PLAIN.calling, thoughts="may")
    assert form(TemplateFacts("other", "may", True, False), tools=TOOLS).thoughts == "none", "the engine does it"


def test_a_form_is_made_once() -> None:
    assert form(response_format=JSON) is form(response_format=JSON)
    assert form(response_format=JSON) is not form(SAME, response_format=JSON)
    forms = [form(tools=[{"type": "function", "function": {"name": f"t{n}"}}]) for n in range(70)]
    assert len({one.grammar for one in forms}) == 70


def strict(**schema: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object", **schema}}}


@pytest.mark.parametrize("facts", [NONE, SAME, OTHER])
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_strict_tool_that_cannot_be_enforced_is_refused_and_another_left_to_the_model(
    facts: TemplateFacts, choice: str
) -> None:
    pattern = {"properties": {"a": {"type": "string", "pattern": "^x"}}}
    with pytest.raises(UnsupportedSchema) as refused:
        form(facts, tools=[*TOOLS, strict(**pattern)], tool_choice=choice)
    assert refused.value.param == "tools[1].function.parameters.properties.a.pattern"
    loose = strict(**pattern)
    loose["function"]["strict"] = False
    form(facts, tools=[*TOOLS, loose], tool_choice=choice)


def test_arguments_that_may_be_no_object_are_refused() -> None:
    either = {"anyOf": [{"type": "object"}, {"type": "string"}]}
    with pytest.raises(UnsupportedSchema) as refused:
        form(tools=[{"type": "function", "function": {"name": "f", "parameters": either}}])
    assert refused.value.param == "tools[0].function.parameters"
