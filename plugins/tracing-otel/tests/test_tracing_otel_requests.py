from __future__ import annotations

from typing import Any

import pytest

from jan_core import call
from jan_core.inprocess import client
from tests.parts import chat_body, part

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.anyio
async def test_a_request_is_described_as_the_conventions_say(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        reply = await http.get("/models?limit=secret", headers={"user-agent": "me/1"})
    span = collector.named("GET /v1/models")
    assert span.kind == 2
    assert span.told == {
        "http.request.method": "GET",
        "http.route": "/v1/models",
        "http.response.status_code": reply.status_code,
        "url.path": "/v1/models",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "localhost",
        "server.port": 80,
        "user_agent.original": "me/1",
        "jan.request_id": reply.headers["x-request-id"],
        **({"error.type": span.told["error.type"]} if reply.status_code != 200 else {}),
    }
    assert b"secret" not in collector.raw


@pytest.mark.anyio
async def test_the_trace_of_the_caller_goes_on(traced: Any, collector: Any) -> None:
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1,b=2"}
    async with traced(sample=0.0) as jan, client(jan) as http:
        await http.get("/models", headers=headers)
        await http.get("/models", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
        await http.get("/models")
    request, listed = collector.named("GET /v1/models"), collector.named("models.list")
    assert (request.trace, request.parent, request.raw.trace_state) == (TRACE, PARENT, "a=1,b=2")
    assert (listed.trace, listed.parent, listed.raw.trace_state) == (TRACE, request.id, "a=1,b=2")
    assert len(collector.spans) == 2, "what the caller does not keep, and what is not sampled, is not noted"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "header",
    ["", "x", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE}-01"],
)
async def test_what_is_no_traceparent_begins_a_trace(traced: Any, collector: Any, header: str) -> None:
    async with traced() as jan, client(jan) as http:
        await http.get("/models", headers={"traceparent": header})
    span = collector.named("GET /v1/models")
    assert (span.trace == TRACE, span.parent) == (False, "")


@pytest.mark.anyio
async def test_two_traceparents_begin_a_trace(traced: Any, collector: Any) -> None:
    one = f"00-{TRACE}-{PARENT}-01"
    async with traced() as jan, client(jan) as http:
        await http.get("/models", headers=[("traceparent", one), ("traceparent", one)])
    assert collector.named("GET /v1/models").parent == ""


@pytest.mark.anyio
async def test_the_sampler_of_the_environment_may_ignore_the_caller(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    async with traced() as jan, client(jan) as http:
        await http.get("/models", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert collector.spans == []


@pytest.mark.anyio
async def test_what_no_route_takes_is_named_by_its_method_alone(traced: Any, collector: Any) -> None:
    async with traced() as jan, client(jan) as http:
        await http.get("/nothing/here")
        await http.request("BREW", "/models")
    missing, odd = collector.named("GET"), collector.named("HTTP")
    assert (missing.told["error.type"], missing.told["http.response.status_code"]) == ("not_found", 404)
    assert "http.route" not in missing.told
    assert (odd.told["http.request.method"], odd.told["http.request.method_original"]) == ("_OTHER", "BREW")
    assert not missing.failed


@pytest.mark.anyio
async def test_routes_of_the_kernel_and_of_packages_have_a_span(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def answer(request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def fails(request: Any) -> PlainTextResponse:
        raise RuntimeError("secret")

    routes = [Route("/extra/{name}", answer), Route("/broken", fails)]
    more = part(monkeypatch, "more", register_routes=lambda settings, jan: routes)
    wired = traced({"tracing-otel": "jan_tracing_otel", "more": more})
    async with wired as jan, client(jan, base_url="http://localhost") as http:
        await http.get("/health")
        await http.get("/extra/a")
        with pytest.raises(RuntimeError):
            await http.get("/broken")
    assert collector.named("GET /health").told["http.response.status_code"] == 200
    assert collector.named("GET /extra/{name}").told["url.path"] == "/extra/a"
    broken = collector.named("GET /broken")
    assert (broken.told["error.type"], broken.failed) == ("RuntimeError", True)
    assert b"secret" not in collector.raw


@pytest.mark.anyio
async def test_who_asked_is_told_by_the_name_of_the_key(
    traced: Any, collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(app: Any) -> Any:
        async def around(scope: Any, receive: Any, send: Any) -> None:
            context = call.current()
            assert context is not None
            context.key_name = "ada"
            await app(scope, receive, send)

        return around

    keys = part(monkeypatch, "keys", asgi_wrapper=lambda settings, jan: named)
    for order in (["tracing-otel", "keys"], ["keys", "tracing-otel"]):
        values = {"tracing-otel": "jan_tracing_otel", "keys": keys}
        async with traced({name: values[name] for name in order}) as jan, client(jan) as http:
            await http.get("/models")
    assert [one.told["enduser.id"] for one in collector.spans if one.name == "GET /v1/models"] == ["ada", "ada"]


@pytest.mark.anyio
async def test_requests_at_the_same_time_keep_their_traces_apart(traced: Any, collector: Any) -> None:
    import asyncio

    async with traced() as jan, client(jan) as http:
        bodies = [chat_body({"say": ["a"] * 3, "rate": 100}, stream=number % 2 == 0) for number in range(20)]
        await asyncio.gather(*[http.post("/chat/completions", json=body) for body in bodies])
    requests = {one.id: one for one in collector.spans if one.name == "POST /v1/chat/completions"}
    chats = [one for one in collector.spans if one.name == "chat scripted"]
    assert len(requests) == len(chats) == 20
    assert {one.parent for one in chats} == set(requests)
    assert all(one.trace == requests[one.parent].trace for one in chats)
    assert len({one.trace for one in chats}) == 20


@pytest.mark.anyio
async def test_a_server_that_stops_says_so(traced: Any, collector: Any) -> None:
    import asyncio

    async with traced() as jan, client(jan) as http:
        body = chat_body({"say": ["a"], "hang": True}, stream=True)
        async with http.stream("POST", "/chat/completions", json=body) as reply:
            lines = reply.aiter_lines()
            await anext(lines)
            jan.under_way.stop()
            assert "stopping" in "".join([line async for line in lines])
            await asyncio.sleep(0)
    assert collector.named("chat scripted").told["error.type"] == "stopping"
    request = collector.named("POST /v1/chat/completions")
    assert (request.told["error.type"], request.failed) == ("stopping", True)
