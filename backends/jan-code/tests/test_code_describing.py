from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from jan_code.describing import BadArgument, NotATool, Tool, read_docstring, schema_of, tool_of, tools_of, value_of


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: float = 0.0
    tags: list[str] = field(default_factory=list)


class Place(TypedDict):
    city: str
    zip: NotRequired[str]


@dataclass
class Ring:
    next: Ring | None = None


def weather(city: str, *, days: int = 1, unit: Literal["C", "F"] = "C", at: Point | None = None) -> str:
    """The weather of a city.

    It is made up.

    Args:
        city: Which one,
            in English.
        days (int): How many.

    Returns:
        A sentence.
    """
    return f"{city} {days} {unit} {at}"


def test_a_function_becomes_a_tool() -> None:
    assert tool_of("weather", weather).described == {
        "name": "weather",
        "description": "The weather of a city.\n\nIt is made up.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Which one, in English."},
                "days": {"type": "integer", "default": 1, "description": "How many."},
                "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                "at": {
                    "anyOf": [
                        {
                            "type": "object",
                            "properties": {
                                "x": {"type": "integer"},
                                "y": {"type": "number"},
                                "tags": {"type": "array", "items": {"type": "string"}},
                            },
                            "required": ["x"],
                            "additionalProperties": False,
                        },
                        {"type": "null"},
                    ]
                },
            },
            "required": ["city"],
            "additionalProperties": False,
        },
    }


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (bool, {"type": "boolean"}),
        (float, {"type": "number"}),
        (None, {"type": "null"}),
        (Any, {}),
        (list, {"type": "array", "items": {}}),
        (dict, {"type": "object", "additionalProperties": True}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Colour, {"type": "string", "enum": ["red", "blue"]}),
        (Literal[1, "a"], {"enum": [1, "a"]}),
        (Annotated[int, "How many."], {"type": "integer", "description": "How many."}),
        (
            Place,
            {
                "type": "object",
                "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_types_become_schemas(hint: Any, schema: dict[str, Any]) -> None:
    assert schema_of(hint, "x") == schema


@pytest.mark.parametrize(
    ("hint", "given", "value"),
    [
        (float, 1, 1.0),
        (Any, {"a": 1}, {"a": 1}),
        (Colour, "red", Colour.RED),
        (int | None, None, None),
        (list[Colour], ["red"], [Colour.RED]),
        (dict[str, Point], {"a": {"x": 1}}, {"a": Point(1)}),
        (Point, {"x": 1, "y": 2}, Point(1, 2.0)),
        (Place, {"city": "Hanoi"}, {"city": "Hanoi"}),
        (Annotated[int, "n"], 3, 3),
        (Literal[1, True], True, True),
    ],
)
def test_json_becomes_what_the_function_wants(hint: Any, given: Any, value: Any) -> None:
    found = value_of(hint, given, "x")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("hint", "given", "told"),
    [
        (int, "1", 'x is "1", and must be of the type integer'),
        (int, True, "x is true, and must be of the type integer"),
        (str, None, "x is null"),
        (Colour, "green", 'x is "green", and must be one of ["red", "blue"]'),
        (Literal["a"], "b", 'must be one of ["a"]'),
        (list[int], [1, "b"], 'x[1] is "b"'),
        (list[int], 1, "must be an array"),
        (Point, 1, "must be an object"),
        (Point, {}, "x must have x"),
        (Place, {"city": "a", "town": "b"}, 'x must not have "town"; allowed are city, zip'),
        (int | None, "a", "none of the types"),
    ],
)
def test_what_does_not_fit_is_told(hint: Any, given: Any, told: str) -> None:
    with pytest.raises(BadArgument) as error:
        value_of(hint, given, "x")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "must have city"),
        ('{"city": 1}', "city is 1"),
        ('{"city": "a", "b": 1}', 'must not have "b"'),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_arguments_that_do_not_fit(text: str, told: str) -> None:
    with pytest.raises(BadArgument, match=told):
        tool_of("weather", weather).arguments(text)


def _made(source: str) -> types.ModuleType:
    module = types.ModuleType("made_for_a_test")
    sys.modules["made_for_a_test"] = module
    exec(compile(source, "index.py", "exec", dont_inherit=True), vars(module))
    return module


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def f(x):\n 'd'", "its argument x has no type hint"),
        ("def f(x: int): pass", "no docstring"),
        ("def f(*x: int):\n 'd'", r"it takes \*x: int"),
        ("def f(**x: int):\n 'd'", r"it takes \*\*x: int"),
        ("def f(x: int, /):\n 'd'", "it takes x: int"),
        ("def f(x: bytes):\n 'd'", "x is of the type bytes"),
        ("def f(x: 'Nothing'):\n 'd'", "NameError"),
        ("def f(x: dict[int, int]):\n 'd'", "keys are no str"),
        ("def é(x: int):\n 'd'", "its name"),
        ("from typing import Literal\ndef f(x: Literal[b'a']):\n 'd'", "values that JSON does not have"),
    ],
)
def test_what_cannot_be_a_tool_is_told_with_its_line(source: str, why: str) -> None:
    tools, told = tools_of(_made(source))
    assert not tools
    (sentence,) = told
    assert sentence.startswith("line ")
    import re

    assert re.search(why, sentence), sentence


def test_a_type_that_holds_itself_is_refused() -> None:
    with pytest.raises(NotATool, match="holds itself"):
        schema_of(Ring, "x")


def test_only_own_public_functions_are_tools() -> None:
    source = """
from os.path import join
from math import sqrt
class Thing: pass
constant = 1
def _hidden(x: int):
    "Hidden."
async def run(context):
    "The loop of its own."
async def later(x: int = 1) -> int:
    "Later."
    return x
"""
    tools, told = tools_of(_made(source))
    assert list(tools) == ["later"]
    assert told == []
    assert isinstance(tools["later"], Tool)


def test_a_docstring_of_one_line() -> None:
    assert read_docstring("Adds.") == ("Adds.", {})
    assert read_docstring("Adds.\n\nRaises:\n    x: never.\n") == ("Adds.", {})
