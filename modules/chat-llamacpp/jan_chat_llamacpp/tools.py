"""Which tools a request offers, and which of them it demands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jan_chat_llamacpp.places import inside
from jan_core.errors import InvalidRequest, NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.chat import ChatCompletionRequest
    from jan_core.schemas.chat.tools import Function, OlderFunction

MOST_TOOLS = 128
MOST_CALLS = 8
"""Calls in one answer, where their number is left to the model."""


@dataclass(frozen=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str | None
    parameters: dict[str, Any]
    """The JSON schema of its arguments."""
    strict: bool
    at: str
    """Where its schema stands in the request."""

    def described(self) -> dict[str, Any]:
        """The tool as a template, or the model, reads it."""
        function: dict[str, Any] = {"name": self.name, "parameters": self.parameters}
        if self.description is not None:
            function["description"] = self.description
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class Calling:
    """What a request says of calls. With `mode` none there are no tools."""

    tools: tuple[Tool, ...] = ()
    mode: Literal["none", "auto", "required"] = "none"
    most: int = 1
    """Calls that an answer may have."""
    older: bool = False
    """The request spoke of `functions`; so does the answer."""


def read_calling(body: ChatCompletionRequest) -> Calling:
    """Read `tools`, `tool_choice` and `parallel_tool_calls`, or their older forms.

    Raises:
        InvalidRequest: a choice names no tool of the request, or there are two tools of one name.
        NotSupported: a custom tool.
    """
    if body.functions is not None:
        if body.tools is not None:
            raise InvalidRequest(
                "functions: it is the older form of `tools`; give only one of both.", param="functions", code="conflict"
            )
        return _older(body)
    if body.function_call not in (None, "none"):
        raise _lone("function_call", "functions")
    tools = []
    for index, tool in enumerate(body.tools or ()):
        at = inside("tools", index)
        if tool.type == "custom":
            raise NotSupported(f"{at}.type: chat-llamacpp calls functions only, no custom tools.", param=f"{at}.type")
        tools.append(_tool(tool.function, f"{at}.function"))
    _check_names(tools, "tools")
    return _choose(body, tuple(tools))


def _choose(body: ChatCompletionRequest, tools: tuple[Tool, ...]) -> Calling:
    choice = body.tool_choice
    if not tools:
        if choice in (None, "none", "auto"):
            return Calling()
        raise _lone("tool_choice", "tools")
    most = 1 if body.parallel_tool_calls is False else MOST_CALLS
    if choice is None or choice == "auto":
        return Calling(tools, "auto", most)
    if choice == "none":
        return Calling()
    if choice == "required":
        return Calling(tools, "required", most)
    if choice.type == "function":
        return Calling(_named(tools, choice.function.name, "tool_choice.function.name"), "required")
    if choice.type == "custom":
        raise NotSupported("tool_choice: chat-llamacpp calls functions only, no custom tools.", param="tool_choice")
    allowed = choice.allowed_tools
    chosen: dict[str, Tool] = {}
    for index, one in enumerate(allowed.tools):
        at = inside("tool_choice.allowed_tools.tools", index)
        function = one.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if one.get("type") != "function" or not isinstance(name, str):
            raise InvalidRequest(
                f'{at}: must be {{"type": "function", "function": {{"name": …}}}}.', param=at, code="invalid_value"
            )
        chosen[name] = _named(tools, name, f"{at}.function.name")[0]
    if not chosen:
        raise InvalidRequest(
            "tool_choice.allowed_tools.tools: name at least one tool.",
            param="tool_choice.allowed_tools.tools",
            code="invalid_value",
        )
    return Calling(tuple(chosen.values()), allowed.mode, most)


def _older(body: ChatCompletionRequest) -> Calling:
    tools = [_tool(function, inside("functions", index)) for index, function in enumerate(body.functions or ())]
    _check_names(tools, "functions")
    choice = body.function_call
    if choice is None or choice == "auto":
        return Calling(tuple(tools), "auto", older=True)
    if choice == "none":
        return Calling()
    return Calling(_named(tuple(tools), choice.name, "function_call.name"), "required", older=True)


def _tool(function: Function | OlderFunction, at: str) -> Tool:
    parameters = function.parameters if function.parameters is not None else {"type": "object", "properties": {}}
    place = f"{at}.parameters"
    if "type" not in parameters and not {"$ref", "anyOf", "oneOf", "allOf", "properties"} & parameters.keys():
        parameters = {"type": "object", **parameters}
    elif parameters.get("type", "object") != "object":
        raise InvalidRequest(
            f'{place}.type: the arguments of a function are an object, so it must be "object".',
            param=f"{place}.type",
            code="invalid_json_schema",
        )
    return Tool(function.name, function.description, parameters, bool(getattr(function, "strict", None)), place)


def _check_names(tools: list[Tool], field: str) -> None:
    if len(tools) > MOST_TOOLS:
        raise InvalidRequest(f"{field}: at most {MOST_TOOLS} can be given.", param=field, code="invalid_value")
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            at = tool.at.removesuffix("parameters") + "name"
            raise InvalidRequest(f"{at}: {tool.name!r} is there twice.", param=at, code="invalid_value")
        seen.add(tool.name)


def _named(tools: tuple[Tool, ...], name: str, at: str) -> tuple[Tool, ...]:
    found = tuple(tool for tool in tools if tool.name == name)
    if not found:
        known = ", ".join(tool.name for tool in tools[:10])
        raise InvalidRequest(f"{at}: {name[:64]!r} is none of the tools: {known}.", param=at, code="invalid_value")
    return found


def _lone(field: str, other: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: only together with `{other}`.", param=field, code="invalid_value")
