"""What a chat request may let the model call, and the form it may demand of the answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Request
from jan_core.schemas.common import JsonObject, Many, Omittable

Name = Annotated[str, Field(pattern="^[a-zA-Z0-9_-]{1,64}$")]
"""1 to 64 ASCII letters, digits, `_` or `-`."""


class Function(Request):
    """A function the model may ask for."""

    name: Name
    """What the model calls it by."""
    description: Omittable[str] = None
    """What it does, for the model to read."""
    parameters: Omittable[JsonObject] = None
    """The JSON schema of its arguments; left out, it takes none."""
    strict: bool | None = None
    """True: the arguments are made to follow the schema exactly."""


class FunctionTool(Request):
    """A tool that is a function."""

    type: Literal["function"]
    """Always `function`."""
    function: Function
    """The function."""


class TextFormat(Request):
    """A custom tool's input is any text."""

    type: Literal["text"]
    """Always `text`."""


class Grammar(Request):
    """The grammar of a custom tool's input."""

    definition: str
    """The grammar."""
    syntax: Literal["lark", "regex"]
    """What the grammar is written in."""


class GrammarFormat(Request):
    """A custom tool's input follows a grammar."""

    type: Literal["grammar"]
    """Always `grammar`."""
    grammar: Grammar
    """The grammar."""


class Custom(Request):
    """A tool that takes text instead of JSON."""

    name: Name
    """What the model calls it by."""
    description: Omittable[str] = None
    """What it does, for the model to read."""
    format: Omittable[Annotated[TextFormat | GrammarFormat, Field(discriminator="type")]] = None
    """The form of its input; any text where it is left out."""


class CustomTool(Request):
    """A tool that is a custom one."""

    type: Literal["custom"]
    """Always `custom`."""
    custom: Custom
    """The tool."""


Tool = Annotated[FunctionTool | CustomTool, Field(discriminator="type")]
"""A tool, told apart by `type`."""


class AllowedTools(Request):
    """A choice among the request's tools."""

    mode: Literal["auto", "required"]
    """`required`: the model must call one of them; `auto`: it may."""
    tools: Many[JsonObject]
    """The tools, each by type and name: `{"type": "function", "function": {"name": "…"}}`."""


class AllowedToolsChoice(Request):
    """Narrows the tools to some of them."""

    type: Literal["allowed_tools"]
    """Always `allowed_tools`."""
    allowed_tools: AllowedTools
    """Which ones."""


class Named(Request):
    """A function or a tool by its name."""

    name: str
    """The name, as in `tools` or `functions`."""


class FunctionChoice(Request):
    """Makes the model call one function."""

    type: Literal["function"]
    """Always `function`."""
    function: Named
    """Which one."""


class CustomChoice(Request):
    """Makes the model call one custom tool."""

    type: Literal["custom"]
    """Always `custom`."""
    custom: Named
    """Which one."""


ToolChoice = (
    Literal["none", "auto", "required"]
    | Annotated[AllowedToolsChoice | FunctionChoice | CustomChoice, Field(discriminator="type")]
)
"""Whether the model calls tools: never, as it likes, always, or the named ones."""

OlderFunctionChoice = Literal["none", "auto"] | Named
"""`ToolChoice` in its older form, for `functions`."""


class OlderFunction(Request):
    """A function the model may ask for, in the older form."""

    name: Name
    """What the model calls it by."""
    description: Omittable[str] = None
    """What it does, for the model to read."""
    parameters: Omittable[JsonObject] = None
    """The JSON schema of its arguments; left out, it takes none."""


class TextAnswer(Request):
    """The answer is plain text."""

    type: Literal["text"]
    """Always `text`."""


class JsonObjectAnswer(Request):
    """The answer is some JSON object."""

    type: Literal["json_object"]
    """Always `json_object`."""


class NamedSchema(Request):
    """The schema an answer must follow."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name
    """A name for it."""
    description: Omittable[str] = None
    """What it is for, for the model to read."""
    # `schema` itself is a method of every pydantic model.
    schema_: Omittable[JsonObject] = Field(default=None, alias="schema")
    """The JSON schema; `schema` in JSON."""
    strict: bool | None = None
    """True: the answer is made to follow the schema exactly."""


class JsonSchemaAnswer(Request):
    """The answer is JSON that follows a schema."""

    type: Literal["json_schema"]
    """Always `json_schema`."""
    json_schema: NamedSchema
    """The schema."""


ResponseFormat = Annotated[TextAnswer | JsonSchemaAnswer | JsonObjectAnswer, Field(discriminator="type")]
"""The form of the answer, told apart by `type`."""
