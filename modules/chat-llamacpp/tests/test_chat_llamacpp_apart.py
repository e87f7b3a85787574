from __future__ import annotations

from typing import Any

import pytest
from jan_chat_llamacpp.apart import apart


def kind(*values: Any, required: bool = True) -> dict[str, Any]:
    return {"type": "object", "properties": {"kind": {"enum": list(values)}}, "required": ["kind"] if required else []}


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [{"type": "string"}],
        [{"type": "string"}, {"type": ["integer", "null"]}, {"type": "boolean"}],
        [{"const": 1}, {"enum": [2, "x"]}],
        [kind("a"), kind("b", "c"), kind("d")],
        [kind("a"), {"type": "null"}],
    ],
)
def test_parts_that_exclude_each_other(parts: list[Any]) -> None:
    assert apart(parts)


@pytest.mark.parametrize(
    "parts",
    [
        [{"type": "string"}, {"type": "string"}],
        [{"type": "integer"}, {"type": "number"}],
        [{}, {"type": "null"}],
        [True, {"type": "null"}],
        [{"const": 1}, {"enum": [2, 1]}],
        [{"const": "a"}, {"type": "string"}],
        [kind("a"), kind("a", "b")],
        [kind("a"), kind("b", required=False)],
        [{"const": number} for number in range(101)],
        [{"type": "object", "required": "kind"}, {"type": "object", "properties": []}],
        [{"type": [5]}, {"type": "null"}],
    ],
)
def test_parts_of_which_nobody_knows(parts: list[Any]) -> None:
    assert not apart(parts)
