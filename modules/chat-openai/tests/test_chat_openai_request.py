from __future__ import annotations

import json
from typing import Any

import pytest
from jan_chat_openai.request import asked, encoded, key_of, refuse

from jan_core.errors import NotSupported
from jan_core.schemas.base import keeping_unknown
from jan_core.schemas.chat import ChatCompletionRequest


def body(**fields: Any) -> ChatCompletionRequest:
    given = {"model": "alias", "messages": [{"role": "user", "content": "hello"}], **fields}
    return ChatCompletionRequest.model_validate(given)


def test_what_was_given_is_handed_on_and_nothing_else() -> None:
    request = asked(body(temperature=0, n=3, metadata={"a": "b"}, top_k=4), "own-id")
    assert request == {
        "model": "own-id",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "top_k": 4,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_each_of_several_answers_has_a_seed_of_its_own() -> None:
    request = asked(body(seed=5, n=2), "m")
    assert [json.loads(encoded(request, index))["seed"] for index in (0, 1)] == [5, 6]
    assert "seed" not in json.loads(encoded(asked(body(), "m"), 1))


def test_a_conversation_is_known_by_its_beginning() -> None:
    later = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "b"},
    ]
    assert key_of(asked(body(), "m")) == key_of(asked(body(messages=later, temperature=1), "m"))
    assert key_of(asked(body(), "m")) != key_of(asked(body(), "other"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("store", True),
        ("web_search_options", {"search_context_size": "low"}),
        ("functions", [{"name": "f"}]),
        ("modalities", ["text", "audio"]),
        ("prediction", {"type": "content", "content": "a"}),
    ],
)
def test_what_a_server_may_pass_over_in_silence_is_refused(name: str, value: Any) -> None:
    with pytest.raises(NotSupported) as told:
        refuse(body(**{name: value}))
    assert told.value.param == name


def test_fields_that_the_api_does_not_know_go_as_they_came() -> None:
    more = {"guided_json": {"type": "object", "a": None}, "min_tokens": 3, "nothing": None}
    open_body = keeping_unknown(ChatCompletionRequest).model_validate({**body().model_dump(exclude_unset=True), **more})
    assert asked(open_body, "m") == asked(body(), "m") | more
