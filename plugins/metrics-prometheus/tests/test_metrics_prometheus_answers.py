from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from jan_metrics_prometheus.measured import Measured

from jan_core.call import Call, enter
from jan_core.errors import Busy
from jan_core.schemas.chat import ChatCompletionRequest
from tests.parts import leave

from .conftest import served


def says(script: Any) -> list[Any]:
    return [{"role": "user", "content": script if isinstance(script, str) else json.dumps(script)}]


@pytest.mark.anyio
async def test_a_whole_answer_is_counted_with_its_tokens(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        script = {"say": ["a", "b", "c"], "prompt_tokens": 7, "finish": "length"}
        await one.api.chat.completions.create(model="scripted", messages=says(script))
        page = await one.page()
    assert page.value("jan:request_success_total", model="scripted", finished_reason="length") == 1
    assert page.value("jan:prompt_tokens_total", model="scripted") == 7
    assert page.value("jan:generation_tokens_total", model="scripted") == 3
    assert page.value("jan:e2e_request_latency_seconds_count", model="scripted") == 1
    assert page.value("jan:request_prompt_tokens_bucket", model="scripted", le="4.0") == 0
    assert page.value("jan:request_prompt_tokens_bucket", model="scripted", le="16.0") == 1
    assert page.value("jan:request_generation_tokens_sum", model="scripted") == 3
    assert page.value("jan:time_to_first_token_seconds_count") == 0


@pytest.mark.anyio
async def test_a_stream_tells_the_first_token_and_what_is_between(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        script = {"say": ["a", "b", "c", "d"], "rate": 20}
        stream = await one.api.chat.completions.create(model="scripted", messages=says(script), stream=True)
        assert len([chunk async for chunk in stream]) == 6
        page = await one.page()
    assert page.value("jan:time_to_first_token_seconds_count", model="scripted") == 1
    assert page.value("jan:time_to_first_token_seconds_sum", model="scripted") < 10
    # Neither the chunk that opens an answer nor the one that ends it is a token.
    assert page.value("jan:inter_token_latency_seconds_count", model="scripted") == 3
    assert page.value("jan:inter_token_latency_seconds_sum", model="scripted") > 0.1
    assert page.value("jan:request_success_total", model="scripted", finished_reason="stop") == 1
    assert page.value("jan:generation_tokens_total", model="scripted") == 4


@pytest.mark.anyio
async def test_completions_and_embeddings_are_answers_too(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.api.completions.create(model="scripted", prompt="a b")
        async for _ in await one.api.completions.create(model="scripted", prompt="a b", stream=True):
            pass
        await one.api.embeddings.create(model="scripted", input="some words")
        page = await one.page()
    assert page.value("jan:request_success_total", model="scripted", finished_reason="stop") == 2
    assert page.value("jan:request_success_total", model="scripted", finished_reason="none") == 1
    assert page.value("jan:inter_token_latency_seconds_count") == 1
    assert page.value("jan:request_generation_tokens_count") == 2


@pytest.mark.anyio
async def test_errors_are_counted_by_code_also_within_a_stream(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        for script, error in (
            ({"fail": "queue_full"}, openai.RateLimitError),
            ({"fail": "something else"}, openai.InternalServerError),
        ):
            with pytest.raises(error):
                await one.api.chat.completions.create(model="scripted", messages=says(script))
        broken = says({"say": ["a", "b"], "fail": "engine_error", "fail_after": 1})
        stream = await one.api.chat.completions.create(model="scripted", messages=broken, stream=True)
        with pytest.raises(openai.APIError, match="engine failed"):
            async for _ in stream:
                pass
        page = await one.page()
    for code in ("queue_full", "internal_error", "engine_error"):
        assert page.value("jan:request_failure_total", model="scripted", error=code) == 1
    assert page.value("jan:request_success_total") == 0
    assert page.value("jan:time_to_first_token_seconds_count") == 1


@pytest.mark.anyio
async def test_a_client_that_leaves_is_an_abort(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await leave(one.jan, one.http)
        page = await one.page()
    assert page.value("jan:request_success_total", finished_reason="abort", model="scripted") == 2
    assert page.value("jan:e2e_request_latency_seconds_count") == 0
    assert page.value("jan:http_requests_total", status="499", route="/v1/chat/completions") == 2


@pytest.mark.anyio
async def test_names_that_no_model_has_make_one_series(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        for number in range(20):
            with pytest.raises(openai.NotFoundError):
                await one.api.chat.completions.create(model=f"made-up-{number}", messages=says("a"))
        page = await one.page()
    assert "made-up" not in page.text
    assert page.value("jan:request_failure_total", model="other", error="model_not_found") == 20
    assert page.labels("jan:request_failure_total", "model") == {"other"}


@pytest.mark.anyio
async def test_an_alias_counts_for_its_model(tmp_path: Path) -> None:
    (tmp_path / "jan.toml").write_text('[aliases]\nlittle = "scripted"\n')
    async with served(tmp_path) as one:
        await one.api.chat.completions.create(model="little", messages=says("a b"))
        page = await one.page()
    assert page.labels("jan:generation_tokens_total", "model") == {"scripted"}


@pytest.mark.anyio
async def test_more_models_than_wanted_are_counted_together(tmp_path: Path) -> None:
    async with served(tmp_path, {"models": 2}) as one:
        measured = one.jan.backend(Measured)
        labels = [measured.limited(f"model-{number}") for number in (1, 2, 3, 1)]
    assert labels == ["model-1", "model-2", "other", "model-1"]


@pytest.mark.anyio
async def test_a_request_that_asks_models_twice_counts_each_answer_once(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        enter(context := Call("req_1"))
        for number in (2, 3):
            script = json.dumps({"say": ["a"] * number, "prompt_tokens": number})
            body = ChatCompletionRequest(model="scripted", messages=says(script))
            await one.jan.chat.create(body)
        failing = ChatCompletionRequest(model="scripted", messages=says({"fail": "queue_full"}))
        with pytest.raises(Busy):
            await one.jan.chat.create(failing)
        page = await one.page()
    assert (page.value("jan:prompt_tokens_total"), page.value("jan:generation_tokens_total")) == (5, 5)
    assert (context.prompt_tokens, context.completion_tokens) == (3, 3)


@pytest.mark.anyio
async def test_a_stream_that_is_closed_between_two_events_is_an_abort(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        body = ChatCompletionRequest(model="scripted", messages=says("a b c"))
        events: Any = one.jan.chat.create_stream(body)
        await anext(events)
        await events.aclose()
        page = await one.page()
    assert page.value("jan:request_success_total", finished_reason="abort", model="scripted") == 1
