from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from jan_embeddings_openai.vectors import Vectors

from jan_core.errors import EngineError, InvalidRequest
from jan_core.schemas.base import keeping_unknown
from jan_core.schemas.embeddings import EmbeddingList, EmbeddingRequest


class Asked:
    """An engine whose server answers as a function says."""

    def __init__(self, answers: Callable[[list[Any]], Any]) -> None:
        self.answers = answers
        self.requests: list[dict[str, Any]] = []

    async def ask(self, model: str, key: bytes, path: str, body: bytes) -> tuple[None, Any]:
        self.requests.append(json.loads(body))
        return None, self.answers(self.requests[-1]["input"])


def listed(*vectors: Any) -> dict[str, Any]:
    data = [{"index": index, "embedding": one} for index, one in enumerate(vectors)]
    return {"data": data[::-1], "usage": {"prompt_tokens": 3}}


async def made(asked: Asked, given: Any, **fields: Any) -> EmbeddingList:
    body = EmbeddingRequest.model_validate({"model": "alias", "input": given, **fields})
    return await Vectors(asked, "own-id", body).made()  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_vectors_are_in_order_and_of_length_one() -> None:
    asked = Asked(lambda texts: listed([3.0, 4.0], [0.0, 2.0]))
    found = await made(asked, ["a", "b"])
    assert [one.embedding for one in found.data] == [[0.6, 0.8], [0.0, 1.0]]
    assert (found.model, found.usage.prompt_tokens) == ("alias", 3)
    assert asked.requests == [{"model": "own-id", "input": ["a", "b"], "encoding_format": "float"}]


@pytest.mark.anyio
async def test_cutting_and_writing_are_done_here() -> None:
    text = base64.b64encode(array("f", [3.0, 4.0, 12.0]).tobytes()).decode()
    found = await made(Asked(lambda texts: listed(text)), "a", dimensions=2, encoding_format="base64")
    numbers = array("f", base64.b64decode(str(found.data[0].embedding)))
    assert [round(one, 6) for one in numbers] == [0.6, 0.8]
    with pytest.raises(InvalidRequest, match="3 numbers") as told:
        await made(Asked(lambda texts: listed(text)), "a", dimensions=4)
    assert told.value.param == "dimensions"


@pytest.mark.anyio
async def test_the_text_that_is_at_fault_is_named() -> None:
    def answers(texts: list[Any]) -> Any:
        if "bad" in texts:
            raise InvalidRequest("It is bad.")
        return listed(*([1.0] for _ in texts))

    for given, param in ((["a", "bad", "b"], "input[1]"), ("bad", "input")):
        with pytest.raises(InvalidRequest) as told:
            await made(Asked(answers), given)
        assert told.value.param == param


@pytest.mark.anyio
@pytest.mark.parametrize(
    "odd",
    [
        [],
        {"data": []},
        {"data": [{"index": 0, "embedding": [1.0]}] * 2},
        {"data": [{"embedding": [1.0]}, {"embedding": [1.0]}]},
        listed([], [1.0]),
        listed(["x"], [1.0]),
        listed([float("nan")], [1.0]),
        listed("%%%", [1.0]),
    ],
)
async def test_what_are_no_vectors_is_the_servers_fault(odd: Any) -> None:
    with pytest.raises(EngineError, match="upstream"):
        await made(Asked(lambda texts: odd), ["a", "b"])


@pytest.mark.anyio
async def test_fields_that_the_api_does_not_know_go_as_they_came() -> None:
    asked, more = Asked(lambda texts: listed([1.0])), {"truncate_prompt_tokens": 5, "nothing": None}
    body = keeping_unknown(EmbeddingRequest).model_validate({"model": "alias", "input": "a", **more})
    await Vectors(asked, "own-id", body).made()  # type: ignore[arg-type]
    assert asked.requests == [{**more, "model": "own-id", "input": ["a"], "encoding_format": "float"}]
