from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from jan_core.schemas.base import NamedEvent, Reply, Request, keeping_unknown, optional


class Asked(Request):
    number: float
    """How much."""
    count: int = 0


class Told(Reply):
    needed: str | None
    extra: str | None = optional()
    """What there may be besides."""


@pytest.mark.parametrize(
    "body",
    [{"number": "1"}, {"number": True}, {"number": float("nan")}, {"number": 1, "count": 1.0}, {"number": 1, "x": 1}],
)
def test_a_request_refuses_what_it_does_not_name(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Asked.model_validate(body)


def test_a_request_takes_an_integer_for_a_number() -> None:
    assert Asked.model_validate({"number": 1}).number == 1.0


def test_a_reply_writes_null_only_where_the_field_is_required() -> None:
    assert Told(needed=None).model_dump() == {"needed": None}
    assert Told(needed=None).model_dump_json() == '{"needed":null}'
    assert Told(needed="a", extra="").model_dump() == {"needed": "a", "extra": ""}


def test_a_reply_cannot_be_built_without_what_is_required() -> None:
    with pytest.raises(ValidationError):
        Told.model_validate({})


@pytest.mark.parametrize(("model", "field"), [(Asked, "number"), (Told, "extra")])
def test_the_text_below_a_field_describes_it(model: type[BaseModel], field: str) -> None:
    assert model.model_json_schema()["properties"][field]["description"]


def test_what_keeps_unknown_fields_is_the_same_otherwise() -> None:
    kept = keeping_unknown(Asked)
    assert keeping_unknown(Asked) is kept
    found = kept.model_validate({"number": 1, "x": {"y": None}})
    assert isinstance(found, Asked)
    assert found.model_extra == {"x": {"y": None}}
    for bad in ({"number": "1"}, {"number": 1, "x": float("inf")}):
        with pytest.raises(ValidationError):
            kept.model_validate(bad)
    assert kept.model_json_schema()["properties"]["number"]["description"] == "How much."


def test_a_reply_of_values_is_the_one_that_is_checked() -> None:
    values = {"needed": "a", "extra": "b"}
    assert Told.of_values(values) == Told.model_validate(values)
    for wrong in ({}, {"needed": 1}, {"needed": "a", "other": 1}):
        with pytest.raises(ValidationError):
            Told.of_values(wrong)


def test_an_event_that_tells_is_like_any_other() -> None:
    told = Told(needed="a")
    made, checked = NamedEvent.telling("thing", told), NamedEvent(event="thing", data=told)
    assert made == checked
    assert made.data is told
    assert made.model_dump_json() == checked.model_dump_json() == '{"event":"thing","data":{"needed":"a"}}'
    assert made.model_copy(deep=True) == made
