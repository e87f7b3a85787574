"""A Jan in front of an upstream that leaves fields out, and sends others: the official client notices nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.e2e.server import JanServer, until
from tests.e2e.upstreams import MODEL, asked, jan_before, read, said, script, streamed
from tests.upstreams.process import Scripted

GONE_SECONDS = 1.0
"""In which an upstream must have been told that a client left, on however busy a machine; 0.2 on a quiet one."""


@pytest.fixture(scope="module")
def behind() -> Iterator[Scripted]:
    with Scripted(models=[MODEL]) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def jan(tmp_path_factory: pytest.TempPathFactory, behind: Scripted) -> Iterator[JanServer]:
    with jan_before(tmp_path_factory.mktemp("upstreams") / "root", {"name": "one", "url": behind.url}) as server:
        yield server
        assert server.checks.replies > 0
        assert server.checks.events > 0


@pytest.fixture(autouse=True)
def _calm(behind: Scripted) -> Iterator[None]:
    behind.calm()
    yield
    behind.calm()


@pytest.fixture
def client(jan: JanServer) -> openai.OpenAI:
    return jan.client()


def test_answers_plain_and_streamed(client: openai.OpenAI) -> None:
    made = client.chat.completions.create(model=MODEL, messages=said("one two three"))
    assert (made.choices[0].message.content, made.choices[0].finish_reason) == ("one two three ", "stop")
    assert made.usage is not None
    assert (made.usage.prompt_tokens, made.usage.completion_tokens, made.usage.total_tokens) == (3, 3, 6)
    assert made.model == MODEL
    assert "x_scripted" not in made.model_dump(), "a field of the upstream's own was handed on"
    assert streamed(client, said("one two three")) == ("one two three ", "stop")
    assert streamed(client, said("one two three"), max_tokens=2) == ("one two ", "length")
    assert streamed(client, said("one two three"), stop=["thr"])[0] == "one two "
    two = client.chat.completions.create(model=MODEL, messages=said("hello"), n=2)
    assert [one.index for one in two.choices] == [0, 1]


def test_tools_are_called(client: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    messages = script(call=[{"name": "add", "arguments": {"a": 1}}])
    made = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
    (call,) = made.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert (call.function.name, json.loads(call.function.arguments)) == ("add", {"a": 1})
    assert made.choices[0].finish_reason == "tool_calls"
    with client.chat.completions.create(model=MODEL, messages=messages, tools=tools, stream=True) as stream:
        pieces = [call for chunk in stream for one in chunk.choices for call in one.delta.tool_calls or ()]
    assert "".join(one.function.arguments or "" for one in pieces if one.function) == call.function.arguments


def test_completions_and_vectors(client: openai.OpenAI) -> None:
    made = client.completions.create(model=MODEL, prompt=["one two", "three"])
    assert [one.text for one in made.choices] == ["one two ", "three "]
    with client.completions.create(model=MODEL, prompt="one two", stream=True) as stream:
        assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == "one two "
    vectors = client.embeddings.create(model=MODEL, input=["a", "b"], dimensions=5)
    assert [len(one.embedding) for one in vectors.data] == [5, 5]
    assert vectors.usage.prompt_tokens == 2


@pytest.mark.parametrize("name", ["id", "created", "object", "model", "usage", "role", "index", "x_scripted"])
def test_fields_that_an_upstream_leaves_out_are_there(client: openai.OpenAI, behind: Scripted, name: str) -> None:
    behind.control(form={"omit": [name]})
    made = client.chat.completions.create(model=MODEL, messages=said("one two"))
    assert made.choices[0].message.content == "one two "
    assert made.choices[0].message.role == "assistant"
    assert made.id.startswith("chatcmpl-")
    assert made.model == MODEL
    assert streamed(client, said("one two")) == ("one two ", "stop")
    assert client.completions.create(model=MODEL, prompt="one two").choices[0].text == "one two "
    if name != "index":  # of vectors nobody can say whose they are
        assert len(client.embeddings.create(model=MODEL, input=["a", "b"]).data) == 2


def test_fields_that_nobody_knows_stay_outside(client: openai.OpenAI, behind: Scripted) -> None:
    behind.control(form={"extra": {"timings": {"ms": 1}, "reasoning_tokens_used": None, "__proto__": []}})
    made = client.chat.completions.create(model=MODEL, messages=said("one two"))
    assert "timings" not in made.model_dump()
    assert streamed(client, said("one two")) == ("one two ", "stop")
    assert client.completions.create(model=MODEL, prompt="one two").choices[0].text == "one two "
    assert len(client.embeddings.create(model=MODEL, input="a").data) == 1


def test_all_that_events_may_look_like(client: openai.OpenAI, behind: Scripted) -> None:
    def chunk(text: str, reason: str | None = None) -> str:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        return json.dumps({"id": "x", "choices": [choice], "object": "chat.completion.chunk"})

    events = [
        ": a remark\n\n",
        f"data:{chunk('a')}\r\n\r\n",
        f"event: message\nid: 4\nretry: 10\ndata: {chunk('b')}\n\n",
        "\n\n\n",
        f"data: {chunk('c')}\n\ndata: {chunk('ü')}\n\nda",
        f"ta: {chunk('你')}\n",
        "\n",
        f"data: {chunk('', 'stop')}\n\n",
        "data: [DONE]\n\n",
    ]
    messages = script(fault={"kind": "raw", "body": events})
    assert streamed(client, messages) == ("abcü你", "stop")


def test_a_request_that_the_upstream_reads_slowly(client: openai.OpenAI, behind: Scripted) -> None:
    behind.control(pause=0.02)
    text = "word " * 40_000
    assert len(asked(client, [*said(text), *said("one")])) == 4


def test_a_client_that_leaves_ends_the_upstreams_work(jan: JanServer, behind: Scripted) -> None:
    for stream in (True, False):
        for messages in (script("a", "b", rate=5, hang=True), script("a", wait=30)):
            behind.calm()
            raw = jan.raw()
            raw.chat(model=MODEL, messages=messages, stream=stream)
            behind.until(lambda told: told["open"] == 1 and told["requests"])
            raw.leave()
            until(lambda: behind.told()["open"] == 0, GONE_SECONDS, f"the upstream's work ended, stream: {stream}")
            assert behind.told()["left"] == 1
    assert jan.client().chat.completions.create(model=MODEL, messages=said("hello")).choices


def test_a_stream_that_the_client_closes_leaves_the_connection_to_nobody(client: openai.OpenAI) -> None:
    """What is left of a stream that was broken off is never read as the beginning of another answer."""
    for number in range(20):
        with client.chat.completions.create(
            model=MODEL, messages=script("wrong ", "wrong ", "wrong ", rate=200), stream=True
        ) as stream:
            next(iter(stream))
        assert asked(client, said(f"right {number}")) == f"right {number} "


def test_many_at_once_get_each_their_own(jan: JanServer) -> None:
    raws = [jan.raw() for _ in range(40)]
    for number, raw in enumerate(raws):
        raw.chat(model=MODEL, messages=script(*[f"{number}-{each} " for each in range(20)], rate=100), stream=True)
    for number, raw in enumerate(raws):
        assert raw.head()[0] == 200
        told = [json.loads(one) for one in raw.events() if one != "[DONE]"]
        text = "".join(choice["delta"].get("content") or "" for one in told for choice in one["choices"])
        assert text == "".join(f"{number}-{each} " for each in range(20))


def test_models_of_the_upstream_are_there_and_their_changes_are_seen(
    jan: JanServer, behind: Scripted, tmp_path: Path
) -> None:
    client = jan.client()
    assert [one.id for one in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        asked(client, said("hello"), model="later")
    with pytest.raises((openai.BadRequestError, openai.PermissionDeniedError)):
        client.models.delete(MODEL)
    behind.control(models=[MODEL, "later"])
    until(lambda: {one.id for one in client.models.list()} == {MODEL, "later"}, 30, "the new model is listed")
    assert asked(client, said("hello"), model="later") == "hello "
    behind.control(models=["later"])
    until(lambda: [one.id for one in client.models.list()] == ["later"], 30, "the old model is gone")
    with pytest.raises(openai.NotFoundError):
        asked(client, said("hello"))
    behind.control(models=[MODEL])
    until(lambda: [one.id for one in client.models.list()] == [MODEL], 30, "it is there again")
    assert read(client.chat.completions.create(model=MODEL, messages=said("a"), stream=True)) == ("a ", "stop")
