from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jan_core.errors import InvalidRequest
from jan_core.pages import cut
from jan_core.schemas.pages import Page, PageQuery
from jan_core.validation import parse_query
from tests.notes import Note

NOTES = [Note(id=f"n{number}", text="") for number in range(7)]


def page(**query: str) -> Page[Note]:
    return cut(NOTES, parse_query(PageQuery, query))


def ids(found: Page[Note]) -> list[str]:
    return [note.id for note in found.data]


def test_newest_first_and_twenty_unless_told_otherwise() -> None:
    assert ids(page()) == ["n6", "n5", "n4", "n3", "n2", "n1", "n0"]
    assert PageQuery().limit == 20
    assert ids(page(order="asc", limit="2")) == ["n0", "n1"]


def test_the_list_object() -> None:
    assert page(limit="2").model_dump() == {
        "object": "list",
        "data": [{"id": "n6", "text": ""}, {"id": "n5", "text": ""}],
        "first_id": "n6",
        "last_id": "n5",
        "has_more": True,
    }
    empty = cut([], PageQuery())
    assert empty.model_dump() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("query", "expected", "more"),
    [
        ({"after": "n4", "limit": "2"}, ["n3", "n2"], True),
        ({"after": "n2", "limit": "2"}, ["n1", "n0"], False),
        ({"after": "n0"}, [], False),
        ({"before": "n4", "limit": "1"}, ["n5"], True),  # right in front of it, not the first of all
        ({"before": "n4", "limit": "2"}, ["n6", "n5"], False),
        ({"before": "n6"}, [], False),
        ({"after": "n5", "before": "n2"}, ["n4", "n3"], False),
        ({"after": "n5", "before": "n2", "limit": "1"}, ["n4"], True),
        ({"after": "n2", "before": "n5"}, [], False),
        ({"after": "n1", "order": "asc", "limit": "3"}, ["n2", "n3", "n4"], True),
    ],
)
def test_cursors(query: dict[str, str], expected: list[str], more: bool) -> None:
    found = page(**query)
    assert ids(found) == expected
    assert found.has_more is more
    assert (found.first_id, found.last_id) == ((expected[0], expected[-1]) if expected else (None, None))


@pytest.mark.parametrize("name", ["after", "before"])
def test_a_cursor_that_is_no_object_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest, match="'nobody'") as caught:
        page(**{name: "nobody"})
    assert caught.value.param == name


@pytest.mark.parametrize(("name", "value"), [("limit", "0"), ("limit", "101"), ("limit", "x"), ("order", "up")])
def test_bad_parameters_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        page(**{name: value})
    assert caught.value.param == name


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_following_the_pages_either_way_gives_every_object_once_and_in_order(size: int, limit: int, order: str) -> None:
    notes = [Note(id=f"n{number}", text="") for number in range(size)]
    whole = [note.id for note in (notes if order == "asc" else reversed(notes))]
    query = PageQuery.model_validate({"limit": limit, "order": order})
    forth: list[str] = []
    found = cut(notes, query)
    while True:
        forth += ids(found)
        if not found.has_more:
            break
        found = cut(notes, query.model_copy(update={"after": found.last_id}))
    assert forth == whole
    back: list[str] = whole[-1:]
    more = bool(back)
    while more:
        found = cut(notes, query.model_copy(update={"before": back[0]}))
        back = ids(found) + back
        more = found.has_more
    assert back == whole
