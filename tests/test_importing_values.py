from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jan_core.folder.names import is_name
from jan_core.importing.values import as_name, fields, items, pairs, seconds, text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1_700_000_000, 1_700_000_000),
        (1_700_000_000_123, 1_700_000_000),
        (1_700_000_000.75, 1_700_000_000),
        (1_700_000_000_123_456, 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("soon", None),
        (True, None),
        (0, None),
        (-5, None),
        (1e300, None),
        (float("nan"), None),
        (None, None),
        ([], None),
    ],
)
def test_times(given: object, expected: int | None) -> None:
    assert seconds(given) == expected
    assert seconds(None, "x", given, 5) == (5 if expected is None else expected)


def test_what_is_not_there() -> None:
    assert (text(None, 3, " ", "a"), text("")) == ("a", None)
    assert items([1, {"a": 1}]) == [{"a": 1}]
    assert items({"a": 1}) == []
    assert fields([1]) == {}


def test_metadata_becomes_texts_and_what_does_not_fit_is_told() -> None:
    notes: list[str] = []
    assert pairs({"a": 1, "b": {"c": "é"}, "d": "", "e": None, "f": []}, notes) == {"a": "1", "b": '{"c": "é"}'}
    assert notes == []
    many = {f"k{number:02}": "v" for number in range(17)}
    assert pairs({"long": "x" * 513, "n" * 65: "x", **many}, notes) == dict.fromkeys(list(many)[:16], "v")
    assert len(notes) == 3
    assert notes[0] == "metadata.long was left out: it is longer than the API allows"
    assert pairs("x", notes) == {}


@pytest.mark.parametrize(
    ("foreign", "name"),
    [
        ("jan_1700000000", "jan_1700000000"),
        ("org/model/q4", "org-model-q4"),
        ("tinyllama:1b", "tinyllama-1b"),
        (" A b ", "A-b"),
        ("Müller", "Muller"),
        ("..", "imported-"),
        ("con", "imported-"),
        ("日本", "imported-"),
        ("x" * 200, "x" * 128),
    ],
)
def test_names(foreign: str, name: str) -> None:
    assert as_name(foreign).startswith(name)
    assert as_name(foreign) == as_name(foreign, {as_name(foreign).lower(): foreign})
    other = as_name(foreign, {as_name(foreign).lower(): "somebody"})
    assert is_name(other)
    assert other != as_name(foreign)


@given(st.text(max_size=300))
def test_every_name_may_be_one(foreign: str) -> None:
    assert is_name(as_name(foreign))
    assert as_name(foreign) == as_name(foreign)
    if is_name(foreign):
        assert as_name(foreign) == foreign
