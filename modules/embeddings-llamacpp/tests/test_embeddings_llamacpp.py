from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp

from jan_core import call
from jan_core.app import Jan, open_jan
from jan_core.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound
from jan_core.schemas.completions import CompletionRequest
from jan_core.schemas.embeddings import EmbeddingList, EmbeddingRequest

pytestmark = pytest.mark.anyio

MODEL = "smollm2-135m-instruct"
WIDTH = 576
ENGINE: dict[str, Any] = {"context": 256, "slots": 2, "threads": 1, "prompt_cache_mib": 0}


@pytest.fixture(scope="module")
async def jan(shared_root: Path) -> AsyncIterator[Jan]:
    """One app for all tests that leave it as it is: the model is loaded once."""
    async with open_jan(shared_root, jan_llamacpp=ENGINE) as found:
        yield found


def described(root: Path, **settings: Any) -> None:
    (root / "models" / MODEL / "model.json").write_text(json.dumps({"settings": settings}))


async def create(jan: Jan, given: Any = "One two three", **fields: Any) -> EmbeddingList:
    return await jan.embeddings.create(EmbeddingRequest.model_validate({"model": MODEL, "input": given, **fields}))


def likeness(one: Any, other: Any) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_many_texts_in_one_request_have_the_vectors_that_they_have_alone(jan: Jan) -> None:
    texts = [" ".join(["word", "cat", "tree"][: 1 + number % 3] * (1 + number % 5)) for number in range(40)]
    batch = await create(jan, texts)
    assert [one.index for one in batch.data] == list(range(40))
    assert {len(one.embedding) for one in batch.data} == {WIDTH}
    read = 0
    for number in (0, 7, 14, 39):
        alone = await create(jan, texts[number])
        assert likeness(alone.data[0].embedding, batch.data[number].embedding) > 0.999
        read += alone.usage.prompt_tokens
    assert batch.usage.prompt_tokens == batch.usage.total_tokens > read
    apart = likeness(batch.data[0].embedding, batch.data[39].embedding)
    assert apart < 0.999, "different texts have the same vector"


async def test_tokens_are_as_good_as_their_text(jan: Jan) -> None:
    text = await create(jan, "Hello world")
    tokens = await create(jan, [19556, 905])
    assert likeness(text.data[0].embedding, tokens.data[0].embedding) > 0.9999
    assert text.usage.prompt_tokens == tokens.usage.prompt_tokens == 2
    assert (await create(jan, [[19556, 905], [19556]])).usage.prompt_tokens == 3


async def test_its_worker_is_another_than_that_of_text(jan: Jan) -> None:
    await create(jan)
    body = CompletionRequest.model_validate({"model": MODEL, "prompt": "a", "max_tokens": 1})
    assert (await jan.completions.create(body)).choices
    models = jan.backend(LlamaCpp).workers.models
    assert sorted(purpose for _, _, purpose in models) == ["", "embeddings"]


async def test_a_model_for_embeddings_alone_has_one_worker_and_writes_no_text(root: Path) -> None:
    described(root, embedding=True)
    async with open_jan(root, jan_llamacpp=ENGINE) as jan:
        assert (await create(jan)).data
        with pytest.raises(InvalidRequest, match="/v1/embeddings") as caught:
            await jan.completions.create(CompletionRequest.model_validate({"model": MODEL, "prompt": "a"}))
        assert caught.value.code == "embedding_model"
        assert [purpose for _, _, purpose in jan.backend(LlamaCpp).workers.models] == ["embeddings"]


async def test_the_pooling_of_model_json_holds(root: Path) -> None:
    found = {}
    async with open_jan(root, jan_llamacpp=ENGINE) as jan:
        for pooling in ("mean", "last", "cls"):
            described(root, pooling=pooling)
            found[pooling] = (await create(jan)).data[0].embedding
        assert likeness(found["mean"], found["last"]) < 0.99
        assert likeness(found["cls"], found["last"]) < 0.99
        for wrong, code in (({"pooling": "none"}, "bad_model_settings"), ({"embedding": False}, "no_embeddings")):
            described(root, **wrong)
            with pytest.raises(InvalidRequest) as caught:
                await create(jan)
            assert (caught.value.param, caught.value.code) == ("model", code)


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "nope"}, ModelNotFound, "model"),
        ({"dimensions": WIDTH + 1}, InvalidRequest, "dimensions"),
        ({"input": [49152]}, InvalidRequest, "input[0]"),
        ({"input": [[1], [2, 49152]]}, InvalidRequest, "input[1][1]"),
        ({"input": " word" * 300}, ContextLengthExceeded, "input"),
        ({"input": ["a", " word" * 300]}, ContextLengthExceeded, "input[1]"),
        ({"input": [[5], [5] * 257]}, ContextLengthExceeded, "input[1]"),
        ({"input": ["a", "b" * 300_000]}, ContextLengthExceeded, "input[1]"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_is_refused_naming_the_field(
    jan: Jan, fields: dict[str, Any], kind: type[Exception], param: str
) -> None:
    with pytest.raises(kind) as caught:
        await create(jan, **{"given": fields.pop("input", "a"), **fields})
    assert caught.value.param == param  # type: ignore[attr-defined]


async def test_a_text_as_long_as_the_context_fits(jan: Jan) -> None:
    assert (await create(jan, [[5] * 256, [6] * 256, [7] * 256])).usage.prompt_tokens == 768
    assert (await create(jan, " word" * 250)).usage.prompt_tokens > 240


async def test_the_forms_of_a_vector(jan: Jan) -> None:
    plain = (await create(jan)).data[0].embedding
    coded = (await create(jan, encoding_format="base64")).data[0].embedding
    assert isinstance(coded, str)
    assert len(base64.b64decode(coded)) == 4 * WIDTH
    short = (await create(jan, dimensions=10)).data[0].embedding
    assert likeness(short, short) == pytest.approx(1, abs=1e-5)
    assert likeness(short, plain[:10]) == pytest.approx(likeness(plain[:10], plain[:10]) ** 0.5, abs=1e-3)
    assert len((await create(jan, dimensions=WIDTH)).data[0].embedding) == WIDTH


async def test_it_tells_the_call_its_tokens(jan: Jan) -> None:
    context = call.Call("req_1")
    call.enter(context)
    found = await create(jan)
    assert (context.prompt_tokens, context.completion_tokens) == (found.usage.prompt_tokens, 0)


async def test_leaving_frees_the_slots(jan: Jan) -> None:
    await create(jan)
    task = asyncio.create_task(create(jan, ["word " * 200] * 500))
    models = jan.backend(LlamaCpp).workers.models
    model = next(one for (_, _, purpose), one in models.items() if purpose == "embeddings")
    async with asyncio.timeout(60):
        while model.slots.busy < 2:
            await asyncio.sleep(0.01)
        task.cancel()
        while model.slots.busy:
            await asyncio.sleep(0.01)
    assert (await create(jan)).data
