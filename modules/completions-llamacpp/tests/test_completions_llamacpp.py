from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp

from jan_core import call
from jan_core.app import Jan, open_jan
from jan_core.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound, NotSupported
from jan_core.schemas.completions import Completion, CompletionChunk, CompletionRequest
from tests.pinned import spec
from tests.smollm2 import GO_ON

pytestmark = pytest.mark.anyio

MODEL = "smollm2-135m-instruct"
ENGINE: dict[str, Any] = {"context": 512, "slots": 2, "threads": 1, "prompt_cache_mib": 0}
SURE: dict[str, Any] = {**GO_ON, "temperature": 0, "max_tokens": 4}
"""The same tokens each time, and as many as are asked for."""


@pytest.fixture(scope="module")
async def jan(shared_root: Path) -> AsyncIterator[Jan]:
    """One app for all tests that leave it as it is: the model is loaded once."""
    async with open_jan(shared_root, jan_llamacpp=ENGINE, jan_workers={"queue": 1}) as found:
        yield found


def body(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": MODEL, "prompt": "One two three", **SURE, **fields})


async def create(jan: Jan, **fields: Any) -> Completion:
    found = await jan.completions.create(body(**fields))
    spec().validate("POST", "/v1/completions", 200, json.loads(found.model_dump_json()))
    return found


async def chunks(jan: Jan, **fields: Any) -> list[CompletionChunk]:
    return [chunk async for chunk in jan.completions.create_stream(body(stream=True, **fields))]


def counted(reply: Completion) -> tuple[int, int]:
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    return reply.usage.prompt_tokens, reply.usage.completion_tokens


async def test_the_limit_is_16_where_nobody_gives_one(jan: Jan) -> None:
    reply = await create(jan, max_tokens=None)
    assert counted(reply) == (3, 16)
    assert reply.choices[0].finish_reason == "length"
    assert counted(await create(jan, max_tokens=5)) == (3, 5)


async def test_batches_and_several_answers_add_up_and_keep_their_order(jan: Jan) -> None:
    alone = [await create(jan, prompt=text) for text in ("One two", "The capital of France is", "Once")]
    batch = await create(jan, prompt=["One two", "The capital of France is", "Once"])
    assert [one.text for one in batch.choices] == [one.choices[0].text for one in alone]
    assert [one.index for one in batch.choices] == [0, 1, 2]
    assert counted(batch) == (sum(counted(one)[0] for one in alone), 12)
    twice = await create(jan, prompt=["One two", "The capital of France is", "Once"], n=2)
    assert [one.text for one in twice.choices] == [alone[index // 2].choices[0].text for index in range(6)]
    assert counted(twice) == (counted(batch)[0], 24)
    more = await create(jan, prompt=["One two", "Once"], n=3)  # than there are slots
    assert [one.text for one in more.choices] == [alone[0].choices[0].text] * 3 + [alone[2].choices[0].text] * 3
    assert counted(more) == (counted(alone[0])[0] + counted(alone[2])[0], 24)


async def test_tokens_are_as_good_as_their_text(jan: Jan) -> None:
    text = await create(jan, prompt="Hello world")
    tokens = await create(jan, prompt=[19556, 905])
    lists = await create(jan, prompt=[[19556, 905], [19556]])
    assert text.choices[0].text == tokens.choices[0].text == lists.choices[0].text
    assert counted(text) == counted(tokens) == (2, 4)
    assert counted(lists) == (3, 8)
    echoed = await create(jan, prompt=[[19556, 905], [19556]], echo=True)
    assert [one.text for one in echoed.choices] == [
        "Hello world" + lists.choices[0].text,
        "Hello" + lists.choices[1].text,
    ]


async def test_nothing_to_write_counts_the_prompts_and_says_them_again(jan: Jan) -> None:
    reply = await create(jan, prompt=["Hello world", "One"], max_tokens=0, n=2, echo=True)
    assert [(one.text, one.finish_reason) for one in reply.choices] == [("Hello world", "length")] * 2 + [
        ("One", "length")
    ] * 2
    assert counted(reply) == (3, 0)
    assert (await create(jan, max_tokens=0)).choices[0].text == ""
    assert await jan.completions.count_tokens(body(prompt=["Hello world", "One"])) == 3


@pytest.mark.parametrize("prompt", ["", None, [""]], ids=str)
async def test_an_empty_prompt_is_the_beginning_of_a_text(jan: Jan, prompt: Any) -> None:
    reply = await create(jan, prompt=prompt)
    assert reply.choices[0].text
    assert counted(reply) == (1, 4)


@pytest.mark.parametrize("wanted", [0, 1, 5])
async def test_how_likely_the_tokens_were(jan: Jan, wanted: int) -> None:
    reply = await create(jan, logprobs=wanted, max_tokens=6)
    choice = reply.choices[0]
    told = choice.logprobs
    assert told is not None
    assert "".join(told.tokens) == choice.text
    assert told.text_offset == [len("".join(told.tokens[:index])) for index in range(6)]
    for token, logprob, top in zip(told.tokens, told.token_logprobs, told.top_logprobs, strict=True):
        assert top[token] == logprob <= 0
        assert max(1, wanted) <= len(top) <= wanted + 1
    assert (await create(jan)).choices[0].logprobs is None


async def test_tokens_that_were_held_back_for_a_stop_string_have_their_own_text(jan: Jan) -> None:
    free = (await create(jan, logprobs=1, max_tokens=8)).choices[0]
    assert free.logprobs is not None
    # A string that the answer begins to be twice, and never becomes.
    stop = [free.logprobs.tokens[2] + free.logprobs.tokens[3] + "@", free.logprobs.tokens[5] + "@"]
    held = (await create(jan, logprobs=1, max_tokens=8, stop=stop)).choices[0]
    assert (held.text, held.finish_reason) == (free.text, "length")
    assert held.logprobs == free.logprobs


async def test_what_only_begins_like_a_stop_string_is_told_at_the_limit_too(jan: Jan) -> None:
    free = (await create(jan, logprobs=1, max_tokens=8)).choices[0]
    held = (await create(jan, logprobs=1, max_tokens=8, stop=[free.text[-3:] + "@"])).choices[0]
    assert (held.text, held.finish_reason, held.logprobs) == (free.text, "length", free.logprobs)


async def test_a_stop_string_ends_the_text_before_it(jan: Jan) -> None:
    whole = (await create(jan, max_tokens=8, logprobs=0)).choices[0]
    assert whole.logprobs is not None
    stop = whole.logprobs.tokens[4].strip() or whole.logprobs.tokens[4]
    cut = (await create(jan, max_tokens=8, logprobs=0, stop=stop)).choices[0]
    assert (cut.text, cut.finish_reason) == (whole.text[: whole.text.index(stop)], "stop")
    assert cut.logprobs is not None
    assert len(cut.text) <= len("".join(cut.logprobs.tokens)) or "".join(cut.logprobs.tokens) == cut.text


async def test_the_best_of_several_are_the_likeliest(jan: Jan) -> None:
    told = {"temperature": 1.5, "seed": 5, "max_tokens": 6, "logprobs": 0}
    written = await create(jan, n=4, **told)
    means = {one.text: sum(one.logprobs.token_logprobs) / 6 for one in written.choices if one.logprobs is not None}
    best = await create(jan, n=2, best_of=4, **told)
    chosen = [sum(one.logprobs.token_logprobs) / 6 for one in best.choices if one.logprobs is not None]
    assert [one.index for one in best.choices] == [0, 1]
    assert chosen == pytest.approx(sorted(means.values(), reverse=True)[:2], abs=0.05)
    assert counted(best) == counted(written) == (3, 24)
    silent = await create(jan, best_of=2, **{**told, "logprobs": None})
    assert silent.choices[0].logprobs is None


async def test_a_gap_is_filled_where_the_model_knows_how(root: Path, fim_path: Path) -> None:
    folder = root / "models" / "fim"
    folder.mkdir()
    (folder / "fim.gguf").symlink_to(fim_path)
    async with open_jan(root, jan_llamacpp=ENGINE) as jan:
        filled = await create(jan, model="fim", prompt="Hello world", suffix="Hello", echo=True)
        tokens = await create(jan, model="fim", prompt=[4, 19556, 905, 5, 19556, 6])
        assert filled.choices[0].text == "Hello world" + tokens.choices[0].text
        assert counted(filled) == counted(tokens) == (6, 4)
        both = await create(jan, model="fim", prompt=["Hello world", "One"], suffix="Hello")
        assert both.choices[0].text == tokens.choices[0].text
        marks = await jan.completions.count_tokens(body(model="fim", prompt="<|im_end|>", suffix=""))
        assert marks > 4, "what looks like a special token was read as one"
        with pytest.raises(ContextLengthExceeded) as caught:
            await create(jan, model="fim", prompt="a", suffix=" word" * 600)
        assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"suffix": "x"}, NotSupported, "suffix"),
        ({"echo": True, "logprobs": 1}, NotSupported, "logprobs"),
        ({"model": "nope"}, ModelNotFound, "model"),
        ({"prompt": [49152]}, InvalidRequest, "prompt[0]"),
        ({"prompt": [[1], [2, 2**31 - 1]]}, InvalidRequest, "prompt[1][1]"),
        ({"prompt": ["a"] * 2048, "n": 2}, InvalidRequest, "n"),
        ({"prompt": ["a"] * 2048, "n": 1, "best_of": 2}, InvalidRequest, "best_of"),
        ({"repeat_penalty": 0}, InvalidRequest, "repeat_penalty"),
        ({"logit_bias": {"5": 1, "49152": 1}}, InvalidRequest, 'logit_bias["49152"]'),
        ({"prompt": " word" * 600}, ContextLengthExceeded, "prompt"),
        ({"prompt": ["a", " word" * 600]}, ContextLengthExceeded, "prompt[1]"),
        ({"prompt": " word" * 600, "max_tokens": 0}, ContextLengthExceeded, "prompt"),
        ({"prompt": [5] * 512}, ContextLengthExceeded, "prompt"),
        ({"prompt": ["a", "b" * 600_000]}, ContextLengthExceeded, "prompt[1]"),
        ({"suffix": "b" * 600_000}, ContextLengthExceeded, "suffix"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_is_refused_naming_the_field(
    jan: Jan, fields: dict[str, Any], kind: type[Exception], param: str
) -> None:
    for ask in (create, chunks):
        if ask is chunks and "best_of" in fields:
            continue
        with pytest.raises(kind) as caught:
            await ask(jan, **fields)
        assert caught.value.param == param  # type: ignore[attr-defined]


async def test_an_answer_that_fills_the_context_ends_with_length(jan: Jan) -> None:
    reply = await create(jan, prompt=[5] * 500, max_tokens=1000)
    assert reply.choices[0].finish_reason == "length"
    assert sum(counted(reply)) == 512


async def test_it_tells_the_call_its_tokens(jan: Jan) -> None:
    context = call.Call("req_1")
    call.enter(context)
    await create(jan, n=2)
    assert (context.prompt_tokens, context.completion_tokens) == (3, 8)


async def test_leaving_frees_the_slots(jan: Jan) -> None:
    events: Any = jan.completions.create_stream(body(stream=True, prompt=["a", "b"], max_tokens=400))
    await anext(events)
    model = next(iter(jan.backend(LlamaCpp).workers.models.values()))
    assert model.slots.busy == 2
    await events.aclose()
    async with asyncio.timeout(60):
        while model.slots.busy:
            await asyncio.sleep(0.01)


async def test_the_models_own_parameters_hold(root: Path) -> None:
    (root / "models" / MODEL / "model.json").write_text('{"parameters": {"max_tokens": 2, "temperature": 0}}')
    async with open_jan(root, jan_llamacpp=ENGINE) as jan:
        assert counted(await create(jan, max_tokens=None))[1] == 2
        assert counted(await create(jan, max_tokens=3))[1] == 3


async def test_a_model_for_embeddings_or_another_engine_is_refused(root: Path) -> None:
    description = root / "models" / MODEL / "model.json"
    async with open_jan(root, jan_llamacpp=ENGINE) as jan:
        for told, code in (
            ({"settings": {"embedding": True}}, "embedding_model"),
            ({"engine": "other"}, "engine_not_available"),
        ):
            description.write_text(json.dumps(told))
            with pytest.raises(InvalidRequest) as caught:
                await create(jan)
            assert (caught.value.param, caught.value.code) == ("model", code)
