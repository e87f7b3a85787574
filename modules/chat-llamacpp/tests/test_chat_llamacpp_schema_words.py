from __future__ import annotations

import pytest
from jan_chat_llamacpp.schema_words import KNOWN, SAID, UnsupportedSchema, is_of_type, shown, unsupported


def test_a_keyword_is_enforced_or_says_nothing_never_both() -> None:
    assert not KNOWN & SAID
    assert "pattern" not in KNOWN | SAID


def test_a_refusal_names_the_place() -> None:
    with pytest.raises(UnsupportedSchema) as refused:
        unsupported("tools[0].x", "no.")
    assert (refused.value.message, refused.value.param) == ("tools[0].x: no.", "tools[0].x")
    assert (refused.value.code, refused.value.status) == ("invalid_json_schema", 400)


@pytest.mark.parametrize(
    ("kind", "yes", "no"),
    [
        ("integer", [0, -5], [True, 1.5, "1"]),
        ("number", [0, 1.5], [False, None]),
        ("string", [""], [1]),
        ("boolean", [True], [1]),
        ("null", [None], [0]),
        ("object", [{}], [[]]),
        ("array", [[]], [{}]),
    ],
)
def test_types_of_values(kind: str, yes: list[object], no: list[object]) -> None:
    assert all(is_of_type(kind, value) for value in yes)
    assert not any(is_of_type(kind, value) for value in no)


def test_a_long_value_is_cut() -> None:
    assert shown(["é"]) == '["é"]'
    assert len(shown("x" * 1000)) < 70
