from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jan_upstreams import upstream
from jan_upstreams.failures import Failure
from jan_upstreams.settings import UpstreamSettings
from jan_upstreams.upstream import Broken, Upstream

from jan_core.refusal import Refusal
from tests.upstreams.bare import HANG, RESET, Bare, bare, reply, stream

DONE = "data: [DONE]\n\n"
MODELS = reply({"data": [{"id": "a"}, {"id": "b"}, {"id": ""}, {"id": "x" * 257}]})


@asynccontextmanager
async def asking(*connections: list[bytes], **settings: Any) -> AsyncIterator[tuple[Upstream, Bare]]:
    """An upstream whose server answers like this; see `bare`."""
    async with bare(*connections) as server:
        one = Upstream(UpstreamSettings(name="one", url=server.url, **settings))
        try:
            yield one, server
        finally:
            await one.close()


async def pieces(one: Upstream, into: list[Any] | None = None) -> list[Any]:
    found = [] if into is None else into
    async for piece in one.stream("/chat/completions", b"{}", "a"):
        found.append(piece)
    return found


def test_a_key_is_read_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(**settings: Any) -> str | None:
        return Upstream(UpstreamSettings(name="one", url="http://gpu1/v1", **settings))._key

    file = tmp_path / "key"
    monkeypatch.setenv("THEIR_KEY", " secret\n")
    file.write_text("other secret\n")
    assert (key(), key(key_env="THEIR_KEY"), key(key_file=str(file))) == (None, "secret", "other secret")
    file.write_text("")
    monkeypatch.setenv("THEIR_KEY", "se\ncret")
    for settings, why in (
        ({"key_env": "NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE, which is empty"),
        ({"key_env": "THEIR_KEY"}, "THEIR_KEY, which has characters that no header takes"),
        ({"key_file": str(file)}, "key, which is empty"),
        ({"key_file": str(tmp_path / "none")}, "none, which cannot be read"),
        ({"key_file": str(tmp_path)}, "which cannot be read"),
    ):
        with pytest.raises(Refusal, match=why) as told:
            key(**settings)
        assert "secret" not in str(told.value)
        assert "'one'" in str(told.value)


@pytest.mark.anyio
async def test_what_is_sent_and_to_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "secret")
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with asking([reply({"a": 1}, set_cookie="s=1"), MODELS], key_env="THEIR_KEY") as (one, server):
        assert await one.ask("/embeddings", b'{"x": 1}', "a") == {"a": 1}
        await one.look()
    first, second = server.requests
    assert (first.method, first.path, first.body) == ("POST", "/v1/embeddings", b'{"x": 1}')
    assert (second.method, second.path, second.body) == ("GET", "/v1/models", b"")
    for request in (first, second):
        assert request.headers["authorization"] == "Bearer secret"
        assert request.headers["accept-encoding"] == "identity"
        assert "cookie" not in request.headers
    assert first.headers["content-type"] == "application/json"
    assert server.of == [0, 0], "a connection is used once only"


@pytest.mark.anyio
async def test_a_redirect_is_not_followed() -> None:
    async with bare([reply({})]) as other:
        for status in (301, 307):
            location = {"location": f"{other.url}/embeddings"}
            async with asking([reply({}, status, **location)]) as (one, _):
                with pytest.raises(Failure, match="a redirect, which is never followed"):
                    await one.ask("/embeddings", b"{}", "a")
        assert other.requests == []


@pytest.mark.anyio
async def test_models_are_those_that_it_lists() -> None:
    async with asking([MODELS]) as (one, _):
        assert await one.look() == {"a", "b"}
        assert one.models is None, "who looks decides what is believed"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "odd",
    [
        reply([]),
        reply({}),
        reply({"data": "a"}),
        reply({"data": ["a"]}),
        reply({"data": [{"id": 1}]}),
        reply(b"<html>"),
    ],
)
async def test_lists_that_are_none(odd: bytes) -> None:
    async with asking([odd]) as (one, _):
        with pytest.raises(Failure, match=r"'one'.*models"):
            await one.look()


@pytest.mark.anyio
async def test_what_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "MODEL_SECONDS", 0.05)
    begun = stream({"a": 1}, end=False)
    async with asking([HANG], [HANG], [HANG], [begun], first_seconds=0.05, silence_seconds=0.05) as (one, server):
        with pytest.raises(Failure, match="did not tell its models in time"):
            await one.look()
        with pytest.raises(Failure, match=r"did not answer within 0\.05 seconds"):
            await one.ask("/embeddings", b"{}", "a")
        with pytest.raises(Failure, match=r"said nothing for 0\.05 seconds"):
            await pieces(one)
        found: list[Any] = []
        with pytest.raises(Broken, match=r"said nothing for 0\.05 seconds\. What it said"):
            await pieces(one, found)
        assert found == [{"a": 1}]
        assert server.of == [0, 1, 2, 3], "a connection was used again that was owed an answer"


@pytest.mark.anyio
async def test_nobody_there_is_told_at_once() -> None:
    async with asking([]) as (_, server):
        pass
    gone = Upstream(UpstreamSettings(name="one", url=server.url))
    with pytest.raises(Failure, match="cannot be reached") as told:
        await gone.ask("/embeddings", b"{}", "a")
    await gone.close()
    assert (told.value.gone, told.value.elsewhere, told.value.error.status) == (True, True, 503)


@pytest.mark.anyio
@pytest.mark.parametrize("end", [None, RESET], ids=["closed", "reset"])
async def test_a_kept_connection_that_ends_as_it_is_used_is_nobodys_failure(end: bytes | None) -> None:
    """A server may close an idle connection in the moment in which a request is under way to it."""
    first = [reply({"a": 1})] if end is None else [reply({"a": 1}), end]
    async with asking(first, [reply({"a": 2})]) as (one, server):
        assert await one.ask("/embeddings", b"{}", "a") == {"a": 1}
        assert await one.ask("/embeddings", b"{}", "a") == {"a": 2}
        assert server.of == [0, 0, 1]


@pytest.mark.anyio
@pytest.mark.parametrize("answers", [[], [RESET]], ids=["closed", "reset"])
async def test_connections_that_always_end_are_tried_twice(answers: list[bytes]) -> None:
    async with asking(answers) as (one, server):
        with pytest.raises(Failure, match="closes connections without an answer") as told:
            await one.ask("/embeddings", b"{}", "a")
        assert (told.value.elsewhere, told.value.broken) == (True, True)
        assert len(server.requests) == 2


@pytest.mark.anyio
async def test_an_answer_has_an_end_and_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "WHOLE", 100)
    short = reply(b"x" * 50).replace(b"content-length: 50", b"content-length: 60")
    async with asking([reply(b"1" * 101)], [reply(b"{")], [b"\x00\x01\r\n\r\n"], [short], first_seconds=0.5) as (
        one,
        _,
    ):
        for why in ("has no end", "is no JSON", "does not answer as HTTP has it", "0.5 seconds"):
            with pytest.raises(Failure, match=why):
                await one.ask("/embeddings", b"{}", "a")


@pytest.mark.anyio
async def test_a_stream_ends_with_its_mark_and_its_connection_is_used_again() -> None:
    async with asking([stream({"a": 1}, ": a remark\n\n", {"b": 2}, DONE, {"c": 3})] * 3) as (one, server):
        for _ in range(3):
            assert await pieces(one) == [{"a": 1}, {"b": 2}]
        assert server.of == [0, 0, 0]


@pytest.mark.anyio
async def test_a_stream_that_is_left_takes_its_connection_along() -> None:
    async with asking([stream({"a": 1}, {"b": 2}, end=False)], [stream({"c": 3}, DONE)]) as (one, server):
        left = one.stream("/chat/completions", b"{}", "a")
        assert await anext(left) == {"a": 1}
        await left.aclose()  # type: ignore[attr-defined]
        assert await pieces(one) == [{"c": 3}]
        assert server.of == [0, 1]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("data: {\n\n", "an event that is no JSON"),
        ("data: 1\n\n", "an event that is no object"),
        ('data: {"error": {"message": "no more"}}\n\n', "no more"),
        ("data: {", "without its end mark"),
        (": a remark\n\n", "without its end mark"),
        ("data: " + "x" * 200, "an event that has no end"),
    ],
)
async def test_before_the_first_piece_another_may_be_asked_and_after_it_nobody(
    odd: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jan_upstreams.events.LONGEST", 100)
    async with asking([stream(odd)], [stream({"a": 1}, odd)]) as (one, _):
        with pytest.raises(Failure, match=why) as told:
            await pieces(one)
        assert told.value.elsewhere
        found: list[Any] = []
        with pytest.raises(Broken, match=why):
            await pieces(one, found)
        assert found == [{"a": 1}]


@pytest.mark.anyio
async def test_what_is_no_stream_and_what_is_refused() -> None:
    no = reply({"error": {"message": "too many", "code": 429}}, 429, retry_after="7")
    async with asking([reply({"choices": []})], [no]) as (one, _):
        with pytest.raises(Failure, match="did not answer with a stream of events"):
            await pieces(one)
        with pytest.raises(Failure, match="too many") as told:
            await pieces(one)
        assert (told.value.error.status, told.value.error.headers["Retry-After"]) == (429, "7")
        assert not told.value.broken


def test_it_is_full_with_as_many_requests_as_it_may_be_given() -> None:
    one = Upstream(UpstreamSettings(url="http://gpu1/v1", requests=2))
    assert (one.name, one.full) == ("gpu1", False)
    one.under_way = 2
    assert one.full


@pytest.mark.anyio
@pytest.mark.parametrize(
    "odd",
    [
        b"secret\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nsecret\x00: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nsecret\r\n",
    ],
)
async def test_a_key_that_is_said_back_where_no_answer_can_be_read(odd: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", "secret")
    async with asking([odd], key_env="THEIR_KEY") as (one, _):
        with pytest.raises(Failure, match="'one'") as told:
            await pieces(one)
        assert "secret" not in told.value.error.message
