from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from jan_code.plain import text_of


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


def test_what_a_function_gave_as_text() -> None:
    assert text_of("as it is") == "as it is"
    assert json.loads(text_of([Point(1), Colour.RED, (1,), None, 1.5])) == [{"x": 1}, "red", [1], None, 1.5]
    assert text_of({"a": {1}}) == '{"a": [1]}'
    assert "object" in text_of(object())
