"""What `Completions` promises, of each implementation: the scripted engine, and llama.cpp on a real model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan, open_jan
from jan_core.errors import InvalidRequest, ModelNotFound, NotSupported
from jan_core.folding_completions import fold_completion
from jan_core.schemas.completions import CompletionChunk, CompletionRequest, DetokenizeRequest, TokenizeRequest
from jan_core.testing.wired import EVERYTHING, wired

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["scripted", "llamacpp"], scope="module")
async def jan(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_root: Path
) -> AsyncIterator[Jan]:
    """An app with an implementation of `completions` and one model."""
    if request.param == "scripted":
        async with wired(tmp_path_factory.mktemp("scripted"), modules=EVERYTHING) as scripted:
            yield scripted
    else:
        async with open_jan(shared_root, jan_llamacpp={"threads": 1, "context": 512}) as real:
            yield real


async def request(jan: Jan, **more: Any) -> CompletionRequest:
    model = (await jan.models.list()).data[0].id
    given = {"model": model, "prompt": "one two three", "max_tokens": 8, "temperature": 0, "seed": 1}
    return CompletionRequest.model_validate({**given, **more})


async def chunks(jan: Jan, **more: Any) -> list[CompletionChunk]:
    async with aclosing(jan.completions.create_stream(await request(jan, stream=True, **more))) as events:
        return [chunk async for chunk in events]


@pytest.mark.parametrize(("prompts", "choices"), [(1, 1), (1, 2), (3, 2)])
async def test_the_grammar_of_a_stream(jan: Jan, prompts: int, choices: int) -> None:
    prompt = [f"one two {number}" for number in range(prompts)]
    found = await chunks(jan, prompt=prompt, n=choices, stream_options={"include_usage": True})
    *pieces, last = found
    head = found[0]
    assert {(chunk.id, chunk.created, chunk.model) for chunk in found} == {(head.id, head.created, head.model)}
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens > 0
    assert {choice.index for chunk in pieces for choice in chunk.choices} == set(range(prompts * choices))
    for index in range(prompts * choices):
        own = [choice for chunk in pieces for choice in chunk.choices if choice.index == index]
        assert own[-1].finish_reason in ("stop", "length")
        assert own[-1].text == ""
        assert [choice.finish_reason for choice in own[:-1]] == [None] * (len(own) - 1)
        assert "".join(choice.text for choice in own)
    assert not [chunk.usage for chunk in pieces if chunk.usage]


async def test_a_stream_tells_its_usage_only_when_asked(jan: Jan) -> None:
    assert all(chunk.choices and chunk.usage is None for chunk in await chunks(jan))


async def test_the_plain_answer_is_the_folded_stream(jan: Jan) -> None:
    plain = await jan.completions.create(await request(jan))
    body = await request(jan, stream=True, stream_options={"include_usage": True})
    folded = await fold_completion(jan.completions.create_stream(body))
    assert plain.choices == folded.choices
    assert plain.usage is not None
    assert folded.usage is not None
    assert plain.usage.completion_tokens == folded.usage.completion_tokens
    assert plain.id != folded.id


async def test_the_prompt_is_said_again_where_asked(jan: Jan) -> None:
    plain = await jan.completions.create(await request(jan, prompt=["one two", "three"]))
    echoed = await jan.completions.create(await request(jan, prompt=["one two", "three"], echo=True))
    said = [choice.text for choice in plain.choices]
    assert [choice.text for choice in echoed.choices] == ["one two" + said[0], "three" + said[1]]
    assert plain.usage is not None
    assert echoed.usage is not None
    assert echoed.usage.completion_tokens == plain.usage.completion_tokens


@pytest.mark.parametrize("prompt", [[5, 6, 7], [[5, 6], [7]]], ids=str)
async def test_a_prompt_may_be_tokens(jan: Jan, prompt: Any) -> None:
    reply = await jan.completions.create(await request(jan, prompt=prompt))
    assert len(reply.choices) == (2 if isinstance(prompt[0], list) else 1)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0


async def test_a_closed_stream_says_no_more_and_the_next_one_answers(jan: Jan) -> None:
    events = jan.completions.create_stream(await request(jan, stream=True, max_tokens=200))
    await anext(events)
    await events.aclose()
    assert [chunk async for chunk in events] == []
    assert (await jan.completions.create(await request(jan))).choices


async def test_an_unknown_model_is_said_before_the_first_chunk(jan: Jan) -> None:
    body = await request(jan, model="nope", stream=True)
    async with aclosing(jan.completions.create_stream(body)) as events:
        with pytest.raises(ModelNotFound):
            await anext(events)
    with pytest.raises(ModelNotFound):
        await jan.completions.create(await request(jan, model="nope"))


async def test_tokens_are_counted_without_generating(jan: Jan) -> None:
    one = await jan.completions.count_tokens(await request(jan, prompt="one two three"))
    both = await jan.completions.count_tokens(await request(jan, prompt=["one two three", "one two three"]))
    assert both == 2 * one > 0


async def test_what_the_module_or_the_model_cannot_do_is_refused_naming_the_field(jan: Jan) -> None:
    with pytest.raises(NotSupported) as caught:
        await jan.completions.create(await request(jan, suffix="end"))
    assert caught.value.param == "suffix"


async def test_tokens_are_shown_and_read_back(jan: Jan) -> None:
    model = (await jan.models.list()).data[0].id
    text = "Héllo 你好"
    for special in (False, True):
        tokens = await jan.completions.tokenize(TokenizeRequest(model=model, text=text, special=special))
        assert b"".join(bytes(token.bytes) for token in tokens).decode() == text
        assert all(token.text == bytes(token.bytes).decode("utf-8", "replace") for token in tokens)
        numbers = [token.id for token in tokens]
        assert await jan.completions.detokenize(DetokenizeRequest(model=model, tokens=numbers)) == text
    assert await jan.completions.tokenize(TokenizeRequest(model=model, text="")) == []
    assert await jan.completions.detokenize(DetokenizeRequest(model=model, tokens=[])) == ""


async def test_tokens_of_nothing_known_are_refused(jan: Jan) -> None:
    model = (await jan.models.list()).data[0].id
    with pytest.raises(InvalidRequest, match="tokens") as refused:
        await jan.completions.detokenize(DetokenizeRequest(model=model, tokens=[0, 2**31 - 1]))
    assert refused.value.status == 400
    for unknown in (
        jan.completions.tokenize(TokenizeRequest(model="no-such", text="a")),
        jan.completions.detokenize(DetokenizeRequest(model="no-such", tokens=[1])),
    ):
        with pytest.raises(ModelNotFound):
            await unknown
