from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from jan_chat_llamacpp.form import PLAIN, form_of
from jan_chat_llamacpp.request import REFUSED, check_length, engine_request, prompt_request, refuse, thinking
from jan_chat_llamacpp.template_facts import TemplateFacts
from jan_chat_llamacpp.tools import Calling, Tool, read_calling
from jan_llamacpp.sampling import LONGEST_TOKEN, SEEDS, Parameters, defaults

from jan_core.errors import ContextLengthExceeded, InvalidRequest, NotSupported
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.schemas.models import ModelLocation

HI = [{"role": "user", "content": "hi"}]


def body(**fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate({"model": "m", "messages": HI, **fields})


def engine(own: dict[str, Any] | None = None, choices: int = 1, first: int = 0, **fields: Any) -> dict[str, Any]:
    prompt = {"messages": HI}
    return engine_request(body(**fields), Parameters(**(own or {})), prompt, PLAIN, choices=choices, first_choice=first)


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


WANTED: dict[str, Any] = {
    "audio": {"voice": "x", "format": "wav"},
    "prediction": {"type": "content", "content": "x"},
    "web_search_options": {"search_context_size": "low"},
    "moderation": {"model": "x"},
    "modalities": ["text", "audio"],
    "store": True,
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
        {"logprobs": False},
        {"modalities": ["text"]},
        {"store": False},
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


def test_a_penalty_that_nothing_can_be_divided_by_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        engine(repeat_penalty=0.001)
    assert refused.value.param == "repeat_penalty"


def test_alternatives_are_told_only_with_logprobs() -> None:
    refuse(body(logprobs=True, top_logprobs=0))
    with pytest.raises(InvalidRequest) as refused:
        refuse(body(top_logprobs=2))
    assert refused.value.param == "top_logprobs"
    assert "logprobs" not in engine(logprobs=False)
    for asked, sent in ((None, 1), (0, 1), (20, 20)):
        found = engine(logprobs=True, top_logprobs=asked)
        assert (found["logprobs"], found["top_logprobs"]) == (True, sent)


def facts(stop: bool = False, effort: bool = False, thoughts: Any = "may", tools: Any = "none") -> TemplateFacts:
    return TemplateFacts(tools, thoughts, stop, effort)


@pytest.mark.parametrize(
    ("effort", "template", "variables"),
    [
        (None, facts(), {}),
        ("none", facts(thoughts="none"), {}),
        ("none", facts(stop=True), {"enable_thinking": False}),
        ("low", facts(stop=True), {"enable_thinking": True}),
        ("max", facts(stop=True, effort=True), {"enable_thinking": True, "reasoning_effort": "high"}),
        ("medium", facts(effort=True), {"reasoning_effort": "medium"}),
        ("minimal", facts(effort=True), {"reasoning_effort": "low"}),
    ],
)
def test_how_long_to_think_is_told_to_templates_that_know_it(effort: Any, template: Any, variables: Any) -> None:
    assert thinking(body(reasoning_effort=effort), template) == variables


@pytest.mark.parametrize(("effort", "template"), [("none", facts()), ("high", facts()), ("none", facts(effort=True))])
def test_and_refused_where_the_template_does_not(effort: Any, template: Any) -> None:
    with pytest.raises(NotSupported) as refused:
        thinking(body(reasoning_effort=effort), template)
    assert refused.value.param == "reasoning_effort"


TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def prompt(template: TemplateFacts, variables: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    told = body(**fields)
    template = replace(template, thoughts="none")
    form = form_of(told, read_calling(told), template, thinks=True)
    return prompt_request(HI, form, template, variables or {})


def test_tools_are_given_to_the_template_or_to_the_engine_or_are_in_the_messages_already() -> None:
    assert prompt(facts(), tools=TOOLS) == {"messages": HI}
    shown = {"messages": HI, "chat_template_kwargs": {"enable_thinking": True, "tools": TOOLS}}
    assert prompt(facts(tools="same"), {"enable_thinking": True}, tools=TOOLS) == shown
    assert prompt(facts(tools="other"), tools=TOOLS) == {"messages": HI, "tools": TOOLS, "parallel_tool_calls": True}
    once = prompt(facts(tools="other"), tools=TOOLS, parallel_tool_calls=False)
    assert once["parallel_tool_calls"] is False
    forced = prompt(facts(tools="other"), tools=TOOLS, tool_choice="required")
    assert forced == {"messages": HI, "chat_template_kwargs": {"tools": TOOLS}}
    assert prompt(facts(tools="same"), tools=TOOLS, tool_choice="none") == {"messages": HI}


def test_where_thoughts_are_told_apart_the_engine_does_not() -> None:
    form = form_of(body(), read_calling(body()), facts(), thinks=True)
    assert prompt_request(HI, form, facts(), {}) == {"messages": HI, "reasoning_format": "none"}


def test_the_grammar_goes_with_the_request() -> None:
    told = body(response_format={"type": "json_object"})
    form = form_of(told, read_calling(told), facts(thoughts="none"), thinks=True)
    assert engine_request(told, Parameters(), {"messages": HI}, form)["grammar"] == form.grammar
    assert "grammar" not in engine()


def test_parameters_of_others_are_left_to_them() -> None:
    assert defaults(location(temperature=1, ngl=99, stream=True)) == Parameters(temperature=1)


def test_what_no_tokens_could_hold_is_refused_unread() -> None:
    most = 16 * LONGEST_TOKEN
    facts = TemplateFacts(tools="none", thoughts="none", can_stop_thinking=False, effort=False)
    assert check_length([{"role": "user", "content": "x" * most}], Calling(), facts, 16) == "messages"
    half = {"role": "user", "content": [{"type": "text", "text": "x" * (most // 2)}]}
    with pytest.raises(ContextLengthExceeded, match="16 tokens") as refused:
        check_length([half, half, *HI], Calling(), facts, 16)
    assert refused.value.param == "messages"
    tool = Tool("f", "x" * most, {}, False, "at")
    with pytest.raises(ContextLengthExceeded, match="The tools and the messages are") as refused:
        check_length(HI, Calling((tool,), "auto"), replace(facts, tools="same"), 16)
    assert refused.value.param == "tools"
    short = Tool("f", "x" * 100, {}, False, "at")
    assert check_length(HI, Calling((short,), "auto"), replace(facts, tools="same"), 16) == "tools"
    assert check_length(HI, Calling((short,), "auto", older=True), replace(facts, tools="same"), 16) == "functions"
    long = [{"role": "user", "content": "x" * 1000}]
    assert check_length(long, Calling((short,), "auto"), facts, 16) == "messages"
