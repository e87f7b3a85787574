from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from jan_core.schemas.base import Request
from jan_core.schemas.common import JsonObject, Many, Metadata, Omittable, Text


class Sample(Request):
    name: Omittable[Text] = None
    many: Omittable[Many[int]] = None
    schema_object: Omittable[JsonObject] = None
    metadata: Metadata | None = None


def test_what_may_be_left_out_may_not_be_null() -> None:
    assert Sample.model_validate({}).name is None
    with pytest.raises(ValidationError):
        Sample.model_validate({"name": None})
    assert Sample.model_json_schema()["properties"]["name"] == {"minLength": 1, "title": "Name", "type": "string"}


def test_only_the_first_bad_element_of_a_list_is_reported() -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"many": [1, "x"] * 1000})
    assert [error["loc"] for error in caught.value.errors()] == [("many", 1)]


@pytest.mark.parametrize("bad", [{"a": float("inf")}, {"a": [{"b": [float("nan")]}]}])
def test_an_object_holds_finite_numbers_only(bad: dict[str, object]) -> None:
    Sample.model_validate({"schema_object": {"a": [{"b": [1.5, 1, "inf", None]}]}})
    with pytest.raises(ValidationError):
        Sample.model_validate({"schema_object": bad})


def test_metadata_has_its_limits() -> None:
    Sample.model_validate({"metadata": {f"{i:064}": "v" * 512 for i in range(16)}})
    for bad in ({str(i): "" for i in range(17)}, {"k" * 65: ""}, {"k": "v" * 513}, {"k": None}):
        with pytest.raises(ValidationError):
            Sample.model_validate({"metadata": bad})


@pytest.mark.parametrize("where", ["messages", "parts"])
def test_there_is_an_end_to_messages_and_parts(where: str) -> None:
    from jan_core.errors import InvalidRequest
    from jan_core.schemas.chat import ChatCompletionRequest
    from jan_core.schemas.common import MOST
    from jan_core.validation import parse

    def body(count: int) -> bytes:
        if where == "messages":
            messages: list[Any] = [{"role": "user", "content": "x"}] * count
        else:
            messages = [{"role": "user", "content": [{"type": "text", "text": "x"}] * count}]
        return json.dumps({"model": "m", "messages": messages}).encode()

    parse(ChatCompletionRequest, body(MOST))
    with pytest.raises(InvalidRequest, match=f"at most {MOST}") as refused:
        parse(ChatCompletionRequest, body(MOST + 1))
    assert refused.value.param == ("messages" if where == "messages" else "messages[0].content")
