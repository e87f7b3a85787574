"""What `Embeddings` promises, of each implementation: the scripted engine, and llama.cpp on a real model."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan, open_jan
from jan_core.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound
from jan_core.schemas.embeddings import EmbeddingList, EmbeddingRequest
from jan_core.testing.wired import EVERYTHING, wired
from tests.pinned import spec

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["scripted", "llamacpp"], scope="module")
async def jan(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_root: Path
) -> AsyncIterator[Jan]:
    """An app with an implementation of `embeddings` and one model."""
    if request.param == "scripted":
        async with wired(tmp_path_factory.mktemp("scripted"), modules=EVERYTHING) as scripted:
            yield scripted
    else:
        async with open_jan(shared_root, jan_llamacpp={"threads": 1, "context": 256}) as real:
            yield real


async def create(jan: Jan, **more: Any) -> EmbeddingList:
    model = (await jan.models.list()).data[0].id
    body = EmbeddingRequest.model_validate({"model": model, "input": "one two three", **more})
    found = await jan.embeddings.create(body)
    spec().validate("POST", "/v1/embeddings", 200, found.model_dump(mode="json"))
    assert found.usage.prompt_tokens == found.usage.total_tokens > 0
    assert [one.index for one in found.data] == list(range(len(found.data)))
    return found


def floats(vector: list[float] | str) -> list[float]:
    if isinstance(vector, str):
        raw = base64.b64decode(vector)
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))
    return vector


async def test_each_text_has_a_vector_of_length_1_in_its_place(jan: Jan) -> None:
    texts = ["one two three", "something else", "one two three", "a"]
    found = await create(jan, input=texts)
    vectors = [floats(one.embedding) for one in found.data]
    assert len(vectors) == 4
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-4) for vector in vectors)
    assert vectors[0] == pytest.approx(vectors[2], abs=0.01)
    assert vectors[0] != pytest.approx(vectors[1], abs=0.01)
    alone = [floats((await create(jan, input=text)).data[0].embedding) for text in texts]
    for one, other in zip(vectors, alone, strict=True):
        assert sum(a * b for a, b in zip(one, other, strict=True)) > 0.99


async def test_the_forms_of_a_vector(jan: Jan) -> None:
    plain = (await create(jan)).data[0].embedding
    coded = (await create(jan, encoding_format="base64")).data[0].embedding
    assert isinstance(plain, list)
    assert isinstance(coded, str)
    assert floats(coded) == pytest.approx(plain, abs=1e-3)
    short = floats((await create(jan, dimensions=5)).data[0].embedding)
    length = math.hypot(*plain[:5])
    assert short == pytest.approx([number / length for number in plain[:5]], abs=1e-2)
    assert math.isclose(math.hypot(*short), 1, rel_tol=1e-4)
    coded = (await create(jan, dimensions=5, encoding_format="base64")).data[0].embedding
    assert floats(coded) == pytest.approx(short, abs=1e-2)


async def test_texts_may_be_tokens(jan: Jan) -> None:
    found = await create(jan, input=[[5, 6, 7], [8]])
    assert (len(found.data), found.usage.prompt_tokens) == (2, 4)
    assert (await create(jan, input=[5, 6, 7])).usage.prompt_tokens == 3


@pytest.mark.parametrize(
    ("param", "more", "kind"),
    [
        ("dimensions", {"dimensions": 100_000}, InvalidRequest),
        ("input", {"input": "word " * 5000}, ContextLengthExceeded),
        ("input[1]", {"input": ["a", "word " * 5000]}, ContextLengthExceeded),
        ("input[1]", {"input": [[5], [5] * 5000]}, ContextLengthExceeded),
        ("model", {"model": "nope"}, ModelNotFound),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_cannot_be_done_is_refused_naming_the_field(
    jan: Jan, param: str, more: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind) as caught:
        await create(jan, **more)
    assert caught.value.param == param  # type: ignore[attr-defined]
