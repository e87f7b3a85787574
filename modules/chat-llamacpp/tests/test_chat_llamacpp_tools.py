from __future__ import annotations

from typing import Any

import pytest
from jan_chat_llamacpp.tools import MOST_CALLS, MOST_TOOLS, Calling, read_calling

from jan_core.errors import InvalidRequest, NotSupported
from jan_core.schemas.chat import ChatCompletionRequest


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


TOOLS = [tool("add", description="adds", strict=True), tool("get")]
FUNCTIONS = [one["function"] for one in [tool("add"), tool("get")]]


def calling(**fields: Any) -> Calling:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return read_calling(ChatCompletionRequest.model_validate(body))


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def allowed(mode: str, *tools: Any) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": list(tools)}}


@pytest.mark.parametrize(
    ("fields", "names", "mode", "most"),
    [
        ({}, [], "none", 1),
        ({"tools": []}, [], "none", 1),
        ({"tool_choice": "auto"}, [], "none", 1),
        ({"tools": TOOLS}, ["add", "get"], "auto", MOST_CALLS),
        ({"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": False}, ["add", "get"], "auto", 1),
        ({"tools": TOOLS, "tool_choice": "none"}, [], "none", 1),
        ({"tools": TOOLS, "tool_choice": "required"}, ["add", "get"], "required", MOST_CALLS),
        ({"tools": TOOLS, "tool_choice": named("get")}, ["get"], "required", 1),
        ({"tools": TOOLS, "tool_choice": allowed("auto", named("get"))}, ["get"], "auto", MOST_CALLS),
        ({"tools": TOOLS, "tool_choice": allowed("required", named("get"), named("add"))}, ["get", "add"], "required",
         MOST_CALLS),
        ({"functions": FUNCTIONS}, ["add", "get"], "auto", 1),
        ({"functions": FUNCTIONS, "function_call": "none"}, [], "none", 1),
        ({"functions": FUNCTIONS, "function_call": {"name": "get"}}, ["get"], "required", 1),
    ],
)  # fmt: skip
def test_what_a_request_says_of_calls(fields: Any, names: list[str], mode: str, most: int) -> None:
    found = calling(**fields)
    assert ([one.name for one in found.tools], found.mode, found.most) == (names, mode, most)
    assert found.older is ("functions" in fields and mode != "none")


def test_a_tool_as_the_model_reads_it() -> None:
    first, second = calling(tools=TOOLS).tools
    assert (first.strict, first.at) == (True, "tools[0].function.parameters")
    described = {"name": "add", "description": "adds", "parameters": {"type": "object", "properties": {}}}
    assert first.described() == {"type": "function", "function": described}
    assert "description" not in second.described()["function"]
    assert calling(functions=FUNCTIONS).tools[1].at == "functions[1].parameters"


def test_parameters_without_a_type_are_an_objects() -> None:
    assert calling(tools=[tool("a", parameters={})]).tools[0].parameters == {"type": "object"}
    given = {"$ref": "#/$defs/x", "$defs": {"x": {"type": "object"}}}
    assert calling(tools=[tool("a", parameters=given)]).tools[0].parameters == given


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("tool_choice", {"tool_choice": "required"}),
        ("tool_choice", {"tool_choice": named("add")}),
        ("tool_choice", {"tools": [], "tool_choice": "required"}),
        ("tool_choice.function.name", {"tools": TOOLS, "tool_choice": named("nothing")}),
        ("tool_choice.allowed_tools.tools[0].function.name",
         {"tools": TOOLS, "tool_choice": allowed("auto", named("nothing"))}),
        ("tool_choice.allowed_tools.tools[0]", {"tools": TOOLS, "tool_choice": allowed("auto", {"type": "function"})}),
        ("tool_choice.allowed_tools.tools", {"tools": TOOLS, "tool_choice": allowed("auto")}),
        ("function_call", {"function_call": "auto"}),
        ("function_call.name", {"functions": FUNCTIONS, "function_call": {"name": "nothing"}}),
        ("functions", {"functions": FUNCTIONS, "tools": TOOLS}),
        ("tools[1].function.name", {"tools": [tool("add"), tool("add")]}),
        ("functions[1].name", {"functions": [{"name": "a"}, {"name": "a"}]}),
        ("tools", {"tools": [tool(f"t{number}") for number in range(MOST_TOOLS + 1)]}),
        ("tools[0].function.parameters.type", {"tools": [tool("a", parameters={"type": "string"})]}),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused_by_its_place(param: str, fields: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        calling(**fields)
    assert refused.value.param == param
    assert refused.value.message.startswith(param)
    assert not isinstance(refused.value, NotSupported)


@pytest.mark.parametrize(
    ("param", "fields"),
    [
        ("tools[0].type", {"tools": [{"type": "custom", "custom": {"name": "x"}}]}),
        ("tool_choice", {"tools": TOOLS, "tool_choice": {"type": "custom", "custom": {"name": "x"}}}),
    ],
)
def test_custom_tools_are_not_done(param: str, fields: Any) -> None:
    with pytest.raises(NotSupported) as refused:
        calling(**fields)
    assert refused.value.param == param
