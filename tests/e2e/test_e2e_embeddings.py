"""Embeddings with the official client, on the real model."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import httpx2
import openai
import pytest

from tests.e2e.server import MODEL, JanServer

PATH = "/v1/embeddings"


def create(client: openai.OpenAI, given: Any = "One two three", **options: Any) -> Any:
    return client.embeddings.create(model=MODEL, input=given, **options)


def test_the_client_gets_vectors_in_both_forms(client: openai.OpenAI) -> None:
    # The client asks for base64 by itself, and decodes it.
    decoded = create(client).data[0].embedding
    plain = create(client, encoding_format="float").data[0].embedding
    assert len(decoded) == len(plain) == 576
    assert decoded == pytest.approx(plain, abs=1e-4)
    assert math.isclose(math.hypot(*plain), 1, rel_tol=1e-4)
    assert len(create(client, dimensions=32).data[0].embedding) == 32


def test_many_texts_come_in_their_order(client: openai.OpenAI) -> None:
    texts = [f"text number {number}" for number in range(40)]
    reply = create(client, texts)
    assert [one.index for one in reply.data] == list(range(40))
    alone = create(client, texts[17])
    assert sum(a * b for a, b in zip(alone.data[0].embedding, reply.data[17].embedding, strict=True)) > 0.999
    assert reply.usage.prompt_tokens == reply.usage.total_tokens > 40
    assert reply.model == MODEL


def test_tokens_are_taken_too(client: openai.OpenAI) -> None:
    assert create(client, [19556, 905]).usage.prompt_tokens == 2
    assert len(create(client, [[19556], [905, 905]]).data) == 2


def test_with_the_async_client_many_at_once(shared: JanServer) -> None:
    async def run() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{shared.port}/v1", api_key="x") as client:
            asked = [client.embeddings.create(model=MODEL, input=f"number {number}") for number in range(12)]
            return await asyncio.gather(*asked)

    assert len({tuple(reply.data[0].embedding) for reply in asyncio.run(run())}) == 12


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("model", {"model": ""}),
    ("input", {"input": ""}),
    ("input", {"input": []}),
    ("input", {"input": None}),
    ("input", {"input": 5}),
    ("input[1]", {"input": ["a", ""]}),
    ("input[1]", {"input": ["a", [5]]}),
    ("input[0]", {"input": [[]]}),
    ("input[0]", {"input": [-1]}),
    ("input[0]", {"input": [49152]}),
    ("input[1][0]", {"input": [[1], [10**9]]}),
    ("input", {"input": ["a"] * 2049}),
    ("input", {"input": "word " * 2000}),
    ("input[1]", {"input": ["a", "word " * 2000]}),
    ("encoding_format", {"encoding_format": "int8"}),
    ("dimensions", {"dimensions": 0}),
    ("dimensions", {"dimensions": 577}),
    ("dimensions", {"dimensions": "5"}),
    ("user", {"user": 5}),
    ("colour", {"colour": "red"}),
]


@pytest.mark.parametrize(("param", "more"), WRONG, ids=lambda value: str(value)[:40])
def test_bad_input_is_a_400_that_names_the_field(shared: JanServer, param: str, more: dict[str, Any]) -> None:
    reply: httpx2.Response = shared.http().post(PATH, json={"model": MODEL, "input": "a", **more})
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param), error


def test_the_log_tells_tokens_and_never_the_text(shared: JanServer) -> None:
    reply = shared.client().embeddings.with_raw_response.create(model=MODEL, input="the harvest moon")
    line = shared.line_of(reply.headers["x-request-id"])
    assert (line["route"], line["model"], line["completion_tokens"]) == (PATH, MODEL, 0)
    assert line["prompt_tokens"] == reply.parse().usage.prompt_tokens
    assert "harvest" not in "\n".join(shared.stderr)
