from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import Enum

import pytest
from jan_code.child import fault, text_of


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_what_a_function_gave_as_text() -> None:
    assert text_of("as it is") == "as it is"
    assert json.loads(text_of([Point(1), Colour.RED, (1,), None, 1.5])) == [{"x": 1}, "red", [1], None, 1.5]
    assert text_of({"a": {1}}) == '{"a": [1]}'
    assert "object" in text_of(object())


def test_where_it_failed() -> None:
    with pytest.raises(ValueError) as raised:
        text_of(fail())
    here, line = os.path.split(__file__)[0], fail.__code__.co_firstlineno + 1
    assert fault(raised.value, here) == {"file": __file__, "line": line, "error": "ValueError: no"}
    assert fault(raised.value, "/elsewhere")["file"] == ""
    assert "Unspeakable" in fault(Unspeakable(), "/")["error"]


def fail() -> str:
    raise ValueError("no")
