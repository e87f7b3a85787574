from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from jan_upstreams import Upstreams, backend
from jan_upstreams.health import FAILURES
from jan_upstreams.settings import UpstreamSettings, UpstreamsSettings

from jan_core.errors import Busy, EngineError, InvalidRequest, ModelNotFound, NotSupported, Unavailable
from jan_core.schemas.models import ModelLocation
from tests.upstreams.bare import HANG, RESET, Bare, bare, reply, stream

DONE = "data: [DONE]\n\n"
NO = reply({"error": {"message": "no"}}, 500)
WRONG = reply({"error": {"message": "wrong", "param": "input"}}, 400)
GONE = reply({"error": {"message": "none", "code": "model_not_found"}}, 404)
OF = ("m",)


@asynccontextmanager
async def before(
    *servers: Sequence[bytes], models: Sequence[str] | None = OF, more: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[tuple[Upstreams, list[Bare]]]:
    """The backend before servers, each of whose connections answers like this.

    Args:
        servers: what each answers.
        models: of each, in its settings.
        more: settings of each, besides.
        settings: of the backend.
    """
    async with AsyncExitStack() as stack:
        started = [await stack.enter_async_context(bare(answers)) for answers in servers]
        described = [
            UpstreamSettings(name=f"u{number}", url=one.url, models=list(models) if models else None, **(more or {}))
            for number, one in enumerate(started)
        ]
        made = Upstreams(UpstreamsSettings(upstreams=described, **settings), None)
        yield await stack.enter_async_context(made), started


async def ask(upstreams: Upstreams, key: bytes = b"") -> Any:
    return (await upstreams.ask("m", key, "/embeddings", b"{}"))[1]


async def pieces(upstreams: Upstreams, key: bytes, into: list[Any], *, whole: bool = False) -> None:
    async for piece in upstreams.stream("m", key, "/chat/completions", b"{}", whole=whole):
        into.append(piece)


async def keys(upstreams: Upstreams, servers: Sequence[Bare]) -> list[bytes]:
    """For each server a key that belongs to it."""
    found: dict[int, bytes] = {}
    for number in range(1000):
        one = await upstreams._next("m", key := b"%d" % number, [])
        assert one is not None
        found.setdefault([server.url for server in servers].index(one.settings.url), key)
    return [found[place] for place in range(len(servers))]


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


def models(*ids: str) -> bytes:
    return reply({"data": [{"id": one} for one in ids]})


@pytest.mark.anyio
async def test_a_key_goes_to_its_server_and_to_the_next_where_that_fails() -> None:
    async with before([reply(0)] * 3, [reply(1)] * 3) as (upstreams, servers):
        first, second = await keys(upstreams, servers)
        assert [await ask(upstreams, key) for key in (first, second, first)] == [0, 1, 0]
    for failing in ([NO], [RESET], [reply(b"<html>")], [GONE], [reply({}, 429)]):
        async with before(failing, [reply(1)]) as (upstreams, servers):
            first, _ = await keys(upstreams, servers)
            assert await ask(upstreams, first) == 1
            assert [one.under_way for one in upstreams.upstreams] == [0, 0]


@pytest.mark.anyio
async def test_a_request_that_is_wrong_is_asked_once() -> None:
    async with before([WRONG], [WRONG]) as (upstreams, servers):
        with pytest.raises(InvalidRequest, match="wrong") as told:
            await ask(upstreams)
        assert told.value.param == "input"
        assert sum(len(one.requests) for one in servers) == 1


@pytest.mark.anyio
async def test_retries_have_an_end() -> None:
    async with before([NO], [NO], [NO], [NO], attempts=2) as (upstreams, servers):
        with pytest.raises(Unavailable, match=r"'u\d' answered 500: no"):
            await ask(upstreams)
        assert sum(len(one.requests) for one in servers) == 2


@pytest.mark.anyio
async def test_one_that_fails_again_and_again_is_left_alone() -> None:
    async with before([NO] * 9) as (upstreams, (server,)):
        for _ in range(FAILURES):
            with pytest.raises(Unavailable, match="answered 500"):
                await ask(upstreams)
        with pytest.raises(Unavailable, match="No upstream answers at the moment: .* answered 500") as told:
            await ask(upstreams)
        assert int(told.value.headers["Retry-After"]) >= 1
        assert len(server.requests) == FAILURES
        with pytest.raises(Unavailable):
            await upstreams.reachable()


@pytest.mark.anyio
async def test_one_that_is_full_is_passed_over_and_all_full_is_busy() -> None:
    async with before([HANG], [HANG], more={"requests": 1}) as (upstreams, servers):
        tasks = []
        for count in (1, 2):
            tasks.append(asyncio.create_task(ask(upstreams, b"the same")))
            await until(lambda count=count: sum(len(one.requests) for one in servers) == count)
        with pytest.raises(Busy, match="2 requests at once"):
            await ask(upstreams, b"the same")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert [one.under_way for one in upstreams.upstreams] == [0, 0]
        assert [one.health.well for one in upstreams.upstreams] == [True, True], "who left is no failure of the server"


@pytest.mark.anyio
async def test_a_stream_that_has_begun_is_nobody_elses() -> None:
    broken, good = stream({"a": 1}), stream({"a": 1}, {"b": 2}, DONE)
    async with before([broken], [good]) as (upstreams, servers):
        first, _ = await keys(upstreams, servers)
        found: list[Any] = []
        with pytest.raises(EngineError, match="without its end mark") as told:
            await pieces(upstreams, first, found)
        assert (found, told.value.code) == ([{"a": 1}], "upstream_failed")
        assert [len(one.requests) for one in servers] == [1, 0]


@pytest.mark.anyio
async def test_a_stream_that_has_not_is() -> None:
    good = stream({"a": 1}, {"b": 2}, DONE)
    for answers, whole in (([NO], False), ([stream(": a remark\n\n")], False), ([stream({"a": 1})], True)):
        async with before(answers, [good]) as (upstreams, servers):
            first, _ = await keys(upstreams, servers)
            found: list[Any] = []
            await pieces(upstreams, first, found, whole=whole)
            assert found == [{"a": 1}, {"b": 2}], "pieces of two answers"
            assert [len(one.requests) for one in servers] == [1, 1]


@pytest.mark.anyio
async def test_closing_a_stream_ends_it_at_the_server() -> None:
    async with before([stream({"a": 1}, end=False)]) as (upstreams, (server,)):
        events = upstreams.stream("m", b"", "/chat/completions", b"{}")
        assert await anext(events) == {"a": 1}
        assert upstreams.upstreams[0].under_way == 1
        await events.aclose()  # type: ignore[attr-defined]
        await until(lambda: server.left == 1)
        assert upstreams.upstreams[0].under_way == 0


@pytest.mark.anyio
async def test_models_are_those_that_are_named_or_listed() -> None:
    async with before([models("b", "a")], [models("a", "c")], models=None) as (upstreams, servers):
        assert await upstreams.offered() == ["a", "b", "c"]
        await upstreams.reachable()
        with pytest.raises(ModelNotFound, match="No upstream has the model 'm' now"):
            await ask(upstreams)
        assert [one.method for server in servers for one in server.requests] == ["GET", "GET"]
    async with before([]) as (upstreams, _):
        assert await upstreams.offered() == ["m"]


@pytest.mark.anyio
async def test_a_server_that_does_not_tell_holds_nobody_up_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "FIRST_LOOK", 0.05)
    async with before([HANG], models=None) as (upstreams, (server,)):
        assert await upstreams.offered() == []
        monkeypatch.setattr(backend, "FIRST_LOOK", 1e9)
        assert await upstreams.offered() == []
        with pytest.raises(Unavailable, match="'u0' did not tell its models yet"):
            await upstreams.reachable()
    await until(lambda: server.left == len(set(server.of)))


@pytest.mark.anyio
async def test_a_model_that_is_gone_has_the_models_looked_at_again() -> None:
    async with before([models("m"), GONE, models("n")], models=None, refresh_seconds=3600) as (upstreams, _):
        assert await upstreams.offered() == ["m"]
        with pytest.raises(ModelNotFound, match="has no model 'm' any more"):
            await ask(upstreams)
        await until(lambda: upstreams.upstreams[0].models == frozenset(["n"]))
        assert await upstreams.offered() == ["n"]


@pytest.mark.anyio
async def test_what_a_module_adds() -> None:
    one = UpstreamSettings(name="one", url="http://gpu1/v1", models=["a"])
    other = UpstreamSettings(name="other", url="http://gpu2/v1", models=["b"])
    upstreams = Upstreams(UpstreamsSettings(upstreams=[one]), None)
    upstreams.add([other, one.model_copy(update={"models": ["c"]})])
    upstreams.add([other])
    async with upstreams:
        assert await upstreams.offered() == ["a", "b"]


@pytest.mark.anyio
async def test_what_is_in_memory_elsewhere_is_not_managed_here() -> None:
    location = ModelLocation(id="m", engine="openai", path="", size=0, revision="")
    async with Upstreams(UpstreamsSettings(), None) as upstreams:
        assert (upstreams.loaded(), await upstreams.unload("m")) == ([], [])
        assert upstreams.estimate(location).total == 0
        with pytest.raises(NotSupported, match="another server"):
            await upstreams.load(location)
        with pytest.raises(Unavailable, match=r"write upstreams = \["):
            await upstreams.reachable()
