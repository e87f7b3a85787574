from __future__ import annotations

import math
from typing import Any

import pytest
from jan_chat_llamacpp.request import (
    LONGEST_TOKEN,
    REFUSED,
    SEEDS,
    Parameters,
    check_length,
    defaults,
    engine_request,
    messages,
    refuse,
)

from jan_core.errors import ContextLengthExceeded, InvalidRequest, NotSupported
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.models import ModelLocation

HI = [{"role": "user", "content": "hi"}]


def body(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"model": "m", "messages": HI, **fields})


def engine(own: dict[str, Any] | None = None, choices: int = 1, first: int = 0, **fields: Any) -> dict[str, Any]:
    return engine_request(body(**fields), Parameters(**(own or {})), choices, first)


def location(**parameters: Any) -> ModelLocation:
    return ModelLocation(id="m", path="/m.gguf", size=1, revision="1", parameters=parameters)


def test_a_bare_request_leaves_everything_to_the_engine() -> None:
    assert engine() == {
        "messages": HI,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "cache_prompt": True,
        "n": 1,
    }


def test_every_number_of_the_request_goes_through() -> None:
    given = {
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 0,
        "min_p": 0.0,
        "typical_p": 1.0,
        "repeat_penalty": 1.1,
        "frequency_penalty": 0.0,
        "presence_penalty": -2.0,
        "stop": ["a", "b"],
    }
    found = engine(own={"temperature": 2.0, "top_k": 5, "stop": "x"}, **given)
    assert {name: found[name] for name in given} == given, (
        "a zero is a value, and the request's goes before the model's"
    )


def test_the_models_parameters_fill_what_the_request_leaves_out() -> None:
    found = engine(own={"temperature": 0.2, "max_tokens": 7, "stop": "x", "top_k": 3}, top_p=0.9)
    assert (found["temperature"], found["max_tokens"], found["stop"], found["top_k"]) == (0.2, 7, "x", 3)
    assert found["top_p"] == 0.9


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_both_names_of_the_limit_are_the_engines_one(name: str) -> None:
    found = engine(own={"max_tokens": 7}, **{name: 3})
    assert found["max_tokens"] == 3
    assert "max_completion_tokens" not in found


@pytest.mark.parametrize(("seed", "first", "sent"), [(0, 0, 0), (5, 4, 9), (-1, 0, SEEDS - 1), (2**32 - 1, 0, 0)])
def test_seeds_are_32_bits_and_never_the_one_that_means_random(seed: int, first: int, sent: int) -> None:
    assert engine(seed=seed, first=first)["seed"] == sent


@pytest.mark.parametrize("seed", [2**63 - 1, -(2**63), 2**32, 2**32 - 1, -1])
def test_no_seed_leaves_its_range(seed: int) -> None:
    assert 0 <= engine(seed=seed)["seed"] < 2**32 - 1


def test_logit_bias_is_a_list_of_pairs() -> None:
    assert engine(logit_bias={"2": -100, "15": 0.5})["logit_bias"] == [[2, -100.0], [15, 0.5]]
    assert "logit_bias" not in engine(logit_bias={})


def test_developer_is_system_and_parts_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    given = [
        {"role": "developer", "content": "be kind"},
        {"role": "system", "content": parts},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "never"}]},
        {"role": "user", "content": "x", "name": "Ann"},
    ]
    assert messages(body(messages=given)) == [
        {"role": "system", "content": "be kind"},
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "a\nb"},
        {"role": "assistant", "content": "no"},
        {"role": "assistant", "content": "never"},
        {"role": "user", "content": "x"},
    ]


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "tool", "content": "1", "tool_call_id": "c"}, "messages[1].role"),
        ({"role": "function", "content": "1", "name": "f"}, "messages[1].role"),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, "messages[1].tool_calls"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            "messages[1].content[0].type",
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
            "messages[1].content[0].type",
        ),
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "x"}}]}, "messages[1].content[0].type"),
    ],
)
def test_what_is_no_text_is_refused_by_its_place(message: dict[str, Any], param: str) -> None:
    with pytest.raises(NotSupported) as refused:
        messages(body(messages=[*HI, message]))
    assert refused.value.param == param
    assert param.removesuffix(".type") in refused.value.message


TOOL = {"type": "function", "function": {"name": "f"}}
WANTED: dict[str, Any] = {
    "tools": [TOOL],
    "functions": [{"name": "f"}],
    "function_call": "auto",
    "audio": {"voice": "x", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {"search_context_size": "low"},
    "moderation": {"model": "x"},
    "tool_choice": "required",
    "response_format": {"type": "json_object"},
    "logprobs": True,
    "modalities": ["text", "audio"],
    "store": True,
    "reasoning_effort": "high",
    "verbosity": "low",
}


@pytest.mark.parametrize("name", WANTED)
def test_what_is_not_done_is_refused_by_name(name: str) -> None:
    with pytest.raises(NotSupported) as refused:
        refuse(body(**{name: WANTED[name]}))
    assert refused.value.param == name
    assert name in refused.value.message
    assert set(WANTED) >= set(REFUSED)


@pytest.mark.parametrize(
    "harmless",
    [
        {"tools": []},
        {"tool_choice": "none"},
        {"response_format": {"type": "text"}},
        {"logprobs": False},
        {"modalities": ["text"]},
        {"store": False},
        {"reasoning_effort": "none"},
        {"verbosity": "medium"},
        {"metadata": {"a": "b"}},
        {"user": "x"},
        {"service_tier": "auto"},
        {"parallel_tool_calls": False},
    ],
)
def test_what_changes_nothing_is_let_through(harmless: dict[str, Any]) -> None:
    refuse(body(**harmless))


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": "warm"},
        {"temperature": 3},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": 1.5},
        {"max_tokens": 0},
        {"max_tokens": True},
        {"repeat_penalty": -1},
        {"stop": 5},
        {"min_p": 1.1},
    ],
)
def test_a_bad_parameter_of_model_json_is_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match=rf"model\.json of 'm': parameters\.{next(iter(wrong))}") as refused:
        defaults(location(**wrong))
    assert (refused.value.code, refused.value.param) == ("bad_model_parameters", "model")


@pytest.mark.parametrize("penalty", [0, 1e-300, 0.009])
def test_a_penalty_that_nothing_can_be_divided_by_is_refused(penalty: float) -> None:
    with pytest.raises(InvalidRequest) as refused:
        refuse(body(repeat_penalty=penalty))
    assert refused.value.param == "repeat_penalty"
    refuse(body(repeat_penalty=0.01))


def test_parameters_of_others_are_left_to_them() -> None:
    assert defaults(location(temperature=1, ngl=99, stream=True)) == Parameters(temperature=1)


def test_what_no_tokens_could_hold_is_refused_unread() -> None:
    most = 16 * LONGEST_TOKEN
    check_length(body(messages=[{"role": "user", "content": "x" * most}]), 16)
    half = {"role": "user", "content": [{"type": "text", "text": "x" * (most // 2)}]}
    with pytest.raises(ContextLengthExceeded, match="16 tokens") as refused:
        check_length(body(messages=[half, half, *HI]), 16)
    assert refused.value.param == "messages"
