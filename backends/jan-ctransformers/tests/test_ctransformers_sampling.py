from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from jan_ctransformers.sampling import Parameters, check_length, defaults, refuse, refused, sampling

from jan_core.errors import ContextLengthExceeded, EngineError, InvalidRequest, NotSupported
from jan_core.schemas.models import ModelLocation

FIELDS = ("temperature", "top_p", "top_k", "min_p", "typical_p", "repeat_penalty", "frequency_penalty")


def body(**fields: Any) -> Any:
    return (
        SimpleNamespace(**dict.fromkeys([*FIELDS, "presence_penalty", "logit_bias", "stop", "seed"]))
        if not (fields)
        else SimpleNamespace(**{**vars(body()), **fields})
    )


def test_the_request_goes_before_the_model() -> None:
    own = Parameters(temperature=0.5, top_k=7, stop="x", repeat_last_n=9)
    assert sampling(body(temperature=0, seed=5), own, 2) == {
        "temperature": 0, "top_k": 7, "stop": "x", "repeat_last_n": 9, "seed": 7,
    }  # fmt: skip
    assert sampling(body(), Parameters(), 0) == {}


@pytest.mark.parametrize(
    "told",
    [
        {"frequency_penalty": 0.1},
        {"presence_penalty": -1},
        {"min_p": 0.1},
        {"typical_p": 0.5},
        {"logit_bias": {"1": 1}},
    ],
)
def test_what_the_library_lacks_is_refused_by_name(told: dict[str, Any]) -> None:
    (name,) = told
    with pytest.raises(NotSupported, match=name) as error:
        refuse(body(**told), "chat-ctransformers")
    assert error.value.param == name


def test_values_that_change_nothing_are_taken() -> None:
    refuse(body(frequency_penalty=0, presence_penalty=0.0, min_p=0, typical_p=1, logit_bias={}, repeat_penalty=1), "x")
    with pytest.raises(InvalidRequest, match="repeat_penalty"):
        refuse(body(repeat_penalty=0.0), "x")


def test_bad_parameters_of_the_model(tiny: Callable[..., ModelLocation]) -> None:
    assert defaults(tiny(parameters={"top_p": 0.5, "another": 1})).top_p == 0.5
    with pytest.raises(InvalidRequest, match=r"parameters\.top_p"):
        defaults(tiny(parameters={"top_p": "all"}))


def test_megabytes_are_not_handed_on() -> None:
    check_length(1024 * 10, 10, "prompt")
    with pytest.raises(ContextLengthExceeded, match="Prompt: 10241 characters.*10 tokens") as error:
        check_length(1024 * 10 + 1, 10, "prompt")
    assert error.value.param == "prompt"


@pytest.mark.parametrize(
    ("code", "kind", "param"),
    [
        ("context_length_exceeded", ContextLengthExceeded, "messages"),
        ("no_chat_template", InvalidRequest, "model"),
        ("unreadable_text", InvalidRequest, "messages"),
        ("unknown_token", InvalidRequest, "messages"),
        ("else", EngineError, None),
    ],
)
def test_what_a_worker_refuses(code: str, kind: type[Exception], param: str | None) -> None:
    error = refused({"code": code, "message": "why"}, "messages")
    assert type(error) is kind
    assert error.param == param
