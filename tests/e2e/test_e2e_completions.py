"""Completions with the official client, on the real model."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.server import MODEL, JanServer
from tests.smollm2 import GO_ON

PATH = "/v1/completions"
SURE: dict[str, Any] = {**GO_ON, "temperature": 0, "max_tokens": 6}
"""The same tokens each time, and as many as are asked for."""


def plain(client: openai.OpenAI, prompt: Any = "One two three", model: str = MODEL, **options: Any) -> Any:
    return client.completions.create(model=model, prompt=prompt, **{**SURE, **options})


def streamed(client: openai.OpenAI, prompt: Any = "One two three", **options: Any) -> tuple[dict[int, str], Any, Any]:
    """Texts and finish reasons by index, and the usage."""
    told = {**SURE, "stream_options": {"include_usage": True}, **options}
    chunks = list(client.completions.create(model=MODEL, prompt=prompt, stream=True, **told))
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None and chunk.choices for chunk in chunks[:-1])
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        assert choice.index not in reasons, "a choice goes on after its end"
        texts[choice.index] = texts.get(choice.index, "") + choice.text
        if choice.finish_reason:
            reasons[choice.index] = choice.finish_reason
    assert set(texts) == set(reasons)
    return texts, reasons, chunks[-1].usage


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ("One two three", {}),
        (["One two", "The capital of France is"], {}),
        ([19556, 905], {"echo": True}),
        ([[19556, 905], [19556]], {"n": 2}),
        ("One two three", {"n": 6, "echo": True}),
        ("", {"max_tokens": 0, "echo": True}),
    ],
    ids=str,
)
def test_a_stream_and_a_plain_reply_say_the_same(client: openai.OpenAI, prompt: Any, options: dict[str, Any]) -> None:
    reply = plain(client, prompt, **options)
    texts, reasons, usage = streamed(client, prompt, **options)
    assert texts == {choice.index: choice.text for choice in reply.choices}
    assert reasons == {choice.index: choice.finish_reason for choice in reply.choices}
    for one in (usage, reply.usage):
        assert (one.prompt_tokens, one.completion_tokens) == (usage.prompt_tokens, usage.completion_tokens)
        assert one.total_tokens == one.prompt_tokens + one.completion_tokens
    limit = options.get("max_tokens", SURE["max_tokens"])
    assert usage.completion_tokens == limit * len(reply.choices)
    assert set(reasons.values()) == {"length"}


def test_probabilities_of_a_stream_are_those_of_the_reply(client: openai.OpenAI) -> None:
    told = plain(client, logprobs=2).choices[0]
    chunks = list(client.completions.create(model=MODEL, prompt="One two three", stream=True, logprobs=2, **SURE))
    found = [choice.logprobs for chunk in chunks for choice in chunk.choices if choice.logprobs is not None]
    assert [token for one in found for token in one.tokens] == told.logprobs.tokens
    assert [offset for one in found for offset in one.text_offset] == told.logprobs.text_offset
    assert "".join(told.logprobs.tokens) == told.text


def test_stop_seed_and_best_of(client: openai.OpenAI) -> None:
    whole = plain(client, max_tokens=12).choices[0].text
    stop = whole.split()[2]
    assert plain(client, max_tokens=12, stop=["never in it", stop]).choices[0].text == whole[: whole.index(stop)]
    texts = [plain(client, temperature=1.2, seed=seed).choices[0].text for seed in (7, 7, 8)]
    assert texts[0] == texts[1] != texts[2]
    reply = plain(client, temperature=1.2, seed=7, best_of=5, n=2)
    assert [choice.index for choice in reply.choices] == [0, 1]
    assert reply.usage.completion_tokens == 30


def test_the_models_end_is_stop(client: openai.OpenAI) -> None:
    reply = plain(client, logit_bias={"2": 100})
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == ("", "stop")


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_longer_than_the_context_is_refused(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        plain(client, "word " * 300, model="small", stream=stream)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "prompt")
    assert "256" in refused.value.message


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("model", {"model": 5}),
    ("prompt", {"prompt": 5}),
    ("prompt", {"prompt": []}),
    ("prompt", {"prompt": {"text": "a"}}),
    ("prompt[1]", {"prompt": ["a", 5]}),
    ("prompt[1]", {"prompt": [5, "a"]}),
    ("prompt[0]", {"prompt": [[]]}),
    ("prompt[0]", {"prompt": [-1]}),
    ("prompt[0]", {"prompt": [49152]}),
    ("prompt[1][0]", {"prompt": [[1], [10**9]]}),
    ("suffix", {"suffix": 5}),
    ("suffix", {"suffix": "this model fills no gaps"}),
    ("max_tokens", {"max_tokens": -1}),
    ("max_tokens", {"max_tokens": "5"}),
    ("temperature", {"temperature": 99}),
    ("top_p", {"top_p": -1}),
    ("n", {"n": 0}),
    ("n", {"n": 129}),
    ("n", {"n": 128, "prompt": ["a"] * 17}),
    ("best_of", {"best_of": 21}),
    ("best_of", {"best_of": 1, "n": 2}),
    ("stream", {"best_of": 2, "stream": True}),
    ("logprobs", {"logprobs": 6}),
    ("logprobs", {"logprobs": 1, "echo": True}),
    ("echo", {"echo": 1}),
    ("stop", {"stop": ["a"] * 5}),
    ("seed", {"seed": 2**63}),
    ("logit_bias.x", {"logit_bias": {"x": 1}}),
    ("presence_penalty", {"presence_penalty": 3}),
    ("frequency_penalty", {"frequency_penalty": "low"}),
    ("repeat_penalty", {"repeat_penalty": 0}),
    ("top_k", {"top_k": -1}),
    ("stream_options", {"stream_options": {}}),
    ("user", {"user": 5}),
    ("colour", {"colour": "red"}),
]


@pytest.mark.parametrize(("param", "more"), WRONG, ids=lambda value: str(value)[:40])
def test_bad_input_is_a_400_that_names_the_field(shared: JanServer, param: str, more: dict[str, Any]) -> None:
    reply: httpx2.Response = shared.http().post(PATH, json={"model": MODEL, "prompt": "a", "max_tokens": 1, **more})
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param), error


def test_the_log_tells_tokens_and_never_what_was_said(shared: JanServer) -> None:
    reply = shared.client().completions.with_raw_response.create(model=MODEL, prompt="the harvest moon", **SURE)
    line = shared.line_of(reply.headers["x-request-id"])
    assert (line["route"], line["model"], line["completion_tokens"]) == (PATH, MODEL, 6)
    assert line["prompt_tokens"] == reply.parse().usage.prompt_tokens  # type: ignore[union-attr]
    assert "harvest" not in "\n".join(shared.stderr)
