from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from jan_core.schemas.base import Reply
from jan_core.schemas.stored import MILLISECONDS, StoredPairs, UnixTime


class Kept(Reply):
    made: UnixTime
    pairs: StoredPairs = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (1_700_000_000, 1_700_000_000),
        (1_700_000_000_123, 1_700_000_000),
        (1_700_000_000.9, 1_700_000_000),
        (1_700_000_000_123.5, 1_700_000_000),
        (0, 0),
        (MILLISECONDS, MILLISECONDS),
    ],
)
def test_times_are_whole_seconds_whoever_wrote_them(written: Any, read: int) -> None:
    assert Kept(made=written).made == read
    assert Kept.model_validate_json(f'{{"made": {written}}}').made == read


@pytest.mark.parametrize("written", [-1, 10**30, None, "yesterday", float("inf"), [], 10**15])
def test_what_is_no_time_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(UnixTime).validate_python(written)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, {}),
        ({}, {}),
        ({"a": "b"}, {"a": "b"}),
        ({"n": 1, "t": True, "o": {"x": [None]}}, {"n": "1", "t": "true", "o": '{"x": [null]}'}),
        ({str(number): "x" * 600 for number in range(20)}, {str(number): "x" * 600 for number in range(20)}),
    ],
)
def test_pairs_are_strings_and_never_null(written: Any, read: dict[str, str]) -> None:
    assert Kept(made=1, pairs=written).pairs == read


def test_what_is_no_object_is_no_pairs() -> None:
    with pytest.raises(ValidationError):
        Kept(made=1, pairs=[])  # type: ignore[arg-type]


def test_both_are_described_as_what_the_api_says() -> None:
    properties = Kept.model_json_schema(mode="serialization")["properties"]
    assert properties["made"]["type"] == "integer"
    assert properties["pairs"]["additionalProperties"] == {"type": "string"}
