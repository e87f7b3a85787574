from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, model_serializer

from jan_core.folder.fields import checked, parameters_in, said, time_made, updated
from jan_core.folder.objects import Damaged
from jan_core.schemas.threads import Thread

PATH = "/root/things/x/thing.json"


class Part(BaseModel):
    size: int


class Thing(BaseModel):
    created_at: int
    title: str | None = None
    parts: list[Part] = []

    @model_serializer(mode="wrap")
    def _without_none(self, handler: Any) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}


def test_the_time_under_its_names() -> None:
    assert time_made(PATH, {"created_at": 5, "created": 6}, b"") == 5
    assert time_made(PATH, {"created": 6.5}, b"") == 6.5
    for missing in ({}, {"created_at": None}, {"created_at": None, "created": 6}):
        with pytest.raises(Damaged, match=f"{PATH}, line 1: `created_at` is missing"):
            time_made(PATH, missing, b"")
    for wrong in ("2024", True, [5]):
        with pytest.raises(Damaged, match=f"{PATH}, line 2: `created` must be a number"):
            time_made(PATH, {"created": wrong}, b'{\n"created": ...}')


def test_an_empty_text_says_something_and_null_does_not() -> None:
    assert said({"a": "", "b": None, "c": 0, "d": [], "e": False}) == {"a": "", "c": 0, "d": [], "e": False}


def test_parameters_are_an_object() -> None:
    assert parameters_in(PATH, {"parameters": {"top_k": 5}}, b"") == {"top_k": 5}
    assert parameters_in(PATH, {}, b"") == parameters_in(PATH, {"parameters": None}, b"") == {}
    for wrong in ([], 0, "", "x"):
        with pytest.raises(Damaged, match="`parameters` must be an object") as caught:
            parameters_in(PATH, {"parameters": wrong}, b'{\n"id": "m",\n"parameters": ...}')
        assert (caught.value.path, caught.value.line) == (PATH, 3)


def test_what_is_wrong_is_named_with_its_line() -> None:
    thing = checked(Thing, {"created_at": 5, "theirs": [1], "parts": [{"size": 1}]}, PATH, b"")
    assert thing == Thing(created_at=5, parts=[Part(size=1)])
    content = b'{\n"created_at": 5,\n"parts": [{"size": "large"}]}'
    with pytest.raises(Damaged, match=r"`parts\.0\.size`: input should be a valid integer") as caught:
        checked(Thing, {"created_at": 5, "parts": [{"size": "large"}]}, PATH, content)
    assert (caught.value.path, caught.value.line) == (PATH, 3)


def test_only_named_fields_are_written_and_the_rest_stays() -> None:
    before = {"theirs": [1], "title": "old", "created_at": 5}
    new = Thing(created_at=6, title="new", parts=[Part(size=1)])
    assert updated(before, new, {"title"}) == {"theirs": [1], "title": "new", "created_at": 5}
    assert list(updated(before, new, {"title", "parts", "unknown"})) == ["theirs", "title", "created_at", "parts"]
    assert updated(before, Thing(created_at=6), {"title"}) == {"theirs": [1], "created_at": 5}
    assert before == {"theirs": [1], "title": "old", "created_at": 5}
    assert updated({}, new, set(Thing.model_fields)) == new.model_dump(mode="json")


def test_where_it_is_wrong_is_told_by_the_names_in_the_file() -> None:
    content = b'{"id": "t", "object": "thread",\n"created_at": 5,\n"metadata": 7}'
    for fields, where in (
        ({"created_at": -5}, "`created_at`: "),
        ({"created_at": 5, "metadata": 7}, "`metadata`: "),
        ({"created_at": 5, "assistants": [{}]}, "`assistants.0.assistant_id`: field required"),
    ):
        with pytest.raises(Damaged) as caught:
            checked(Thread, {"id": "t", **fields}, PATH, content)
        assert f": {where}" in str(caught.value)
