from __future__ import annotations

import pytest
from pydantic import ValidationError

from jan_core.errors import InvalidRequest
from jan_core.schemas.pages import Page, PageQuery
from jan_core.validation import parse_query
from tests.notes import Note


def test_what_a_listing_is_asked_for_where_nothing_is_said() -> None:
    assert parse_query(PageQuery, {}).model_dump() == {"limit": 20, "order": "desc", "after": None, "before": None}


@pytest.mark.parametrize(
    ("name", "value"), [("limit", "0"), ("limit", "101"), ("limit", "1.5"), ("order", "DESC"), ("cursor", "x")]
)
def test_a_bad_parameter_is_named(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_query(PageQuery, {name: value})
    assert caught.value.param == name


def test_an_empty_page_has_null_for_ids_and_all_fields() -> None:
    empty = Page[Note](data=[], first_id=None, last_id=None, has_more=False)
    assert empty.model_dump() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    with pytest.raises(ValidationError):
        Page[Note].model_validate({"data": []})
