from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jan_auth_keys import changes
from jan_auth_keys.gate import Gate
from openai import AsyncOpenAI, AuthenticationError, PermissionDeniedError

from jan_core import call
from jan_core.app import Jan
from jan_core.asgi import create_app
from jan_core.inprocess import AppTransport, client
from jan_core.requests import RequestLog
from jan_core.testing.wired import EVERYTHING, SCRIPTED, wired
from tests.parts import chat_body, part

PLUGIN = {"auth-keys": "jan_auth_keys"}
MakeKey = Callable[..., str]
Ask = Callable[..., Awaitable[httpx2.Response]]


def served(path: Path, **given: Any) -> Jan:
    return wired(path.parent, plugins=given.pop("plugins", PLUGIN), **given)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def content(path: Path) -> str:
    return path.read_text()


def write(path: Path, text: str | None) -> None:
    """What an editor does to a file, or somebody who removes it."""
    if text is None:
        path.unlink()
    else:
        path.write_text(text)


def error(reply: httpx2.Response) -> dict[str, Any]:
    told = reply.json()["error"]
    assert set(told) == {"message", "type", "param", "code"}
    return dict(told)


@pytest.mark.anyio
async def test_the_official_client_with_a_key(path: Path, make_key: MakeKey) -> None:
    key = make_key()
    async with served(path) as jan, client(jan) as http:
        openai = AsyncOpenAI(base_url="http://localhost/v1", api_key=key, http_client=http, max_retries=0)
        body: Any = chat_body("hello there")
        assert (await openai.models.list()).data
        assert (await openai.chat.completions.create(**body)).choices[0].message.content == "hello there "
        stream = await openai.chat.completions.create(**body, stream=True)
        assert "".join([one.choices[0].delta.content or "" async for one in stream if one.choices]) == "hello there "
        wrong = openai.with_options(api_key=key[:-1] + ("a" if key[-1] != "a" else "b"))
        for asked in (wrong.models.list(), wrong.chat.completions.create(**body, stream=True)):
            with pytest.raises(AuthenticationError) as caught:
                await asked
            assert caught.value.code == "invalid_api_key"
            assert caught.value.response.headers["www-authenticate"] == 'Bearer realm="jan", error="invalid_token"'


@pytest.mark.anyio
async def test_whatever_is_no_valid_key_is_answered_401(path: Path, make_key: MakeKey) -> None:
    key = make_key()
    make_key("old", seconds=-1)
    expired = make_key("older", seconds=-1)
    given: list[list[tuple[str, str]]] = [
        [],
        [("authorization", "")],
        [("authorization", "Bearer")],
        [("authorization", "Bearer ")],
        [("authorization", key)],
        [("authorization", f"Basic {key}")],
        [("authorization", f"Bearer {key}x")],
        [("authorization", f"Bearer {key} {key}")],
        [("authorization", f"Bearer {key[:20]}")],
        [("authorization", "Bearer " + "x" * 10_000)],
        [("authorization", f"Bearer {expired}")],
        [("authorization", f"Bearer {key}"), ("authorization", f"Bearer {key}")],
        [("x-api-key", key), ("api-key", key), ("cookie", f"key={key}")],
    ]
    async with served(path) as jan, client(jan, base_url="http://localhost") as http:
        for headers in given:
            reply = await http.get("/v1/models", headers=headers)
            assert reply.status_code == 401, headers
            told = error(reply)
            assert (told["type"], told["code"], told["param"]) == ("authentication_error", "invalid_api_key", None)
            assert reply.headers["www-authenticate"].startswith("Bearer")
            assert key not in reply.text
            assert expired not in reply.text
        for written in (f"Bearer {key}", f"bearer {key}", f"BEARER   {key} "):
            assert (await http.get("/v1/models", headers={"authorization": written})).status_code == 200
        assert "'older' has expired" in error(await http.get("/v1/models", headers=bearer(expired)))["message"]
        assert (await http.get("/v1/models", params={"api_key": key, "key": key})).status_code == 401


@pytest.mark.anyio
async def test_only_health_needs_no_key(path: Path, make_key: MakeKey) -> None:
    make_key()
    async with served(path) as jan, client(jan, base_url="http://localhost") as http:
        assert (await http.get("/health")).status_code == 200
        assert (await http.get("/health?ready")).status_code == 200
        assert (await http.head("/health")).status_code == 200
        assert (await http.post("/health")).status_code == 405
        for path_ in ("/health/", "//health", "/health/x", "/healthz", "/", "/v1/health", "/%68ealth/../v1/models"):
            assert (await http.get(path_)).status_code == 401, path_


@pytest.mark.anyio
async def test_scopes(path: Path, make_key: MakeKey) -> None:
    chat = make_key("chat", "chat:write", "models:read")
    reader = make_key("reader", "*:read")
    nothing = make_key("nothing", "threads:write")
    async with served(path, modules=EVERYTHING) as jan, client(jan, base_url="http://localhost") as http:

        async def asked(key: str, method: str, where: str, body: Any = None) -> httpx2.Response:
            return await http.request(method, where, json=body, headers=bearer(key))

        hello = chat_body("hello")
        assert (await asked(chat, "POST", "/v1/chat/completions", hello)).status_code == 200
        assert (await asked(chat, "GET", "/v1/models")).status_code == 200
        assert (await asked(chat, "GET", "/v1/models/scripted")).status_code == 200
        assert (await asked(chat, "GET", "/openapi.json")).status_code == 200
        refused = await asked(chat, "GET", "/v1/threads")
        assert refused.status_code == 403
        told = error(refused)
        assert (told["type"], told["code"]) == ("permission_error", "insufficient_scope")
        assert "'chat'" in told["message"]
        assert "threads:read" in told["message"]
        assert "it may use chat:write, models:read" in told["message"]
        challenge = 'Bearer realm="jan", error="insufficient_scope", scope="threads:read"'
        assert refused.headers["www-authenticate"] == challenge
        # A slash in a model's name, and a method that the route has not, lead nowhere else.
        assert (await asked(chat, "DELETE", "/v1/models/a/b")).status_code == 403
        assert (await asked(chat, "POST", "/v1/models")).status_code == 403
        assert (await asked(chat, "GET", "/v1/nothing")).status_code == 403
        assert (await asked(chat, "GET", "/v1/threads/")).status_code == 403
        assert (await asked(reader, "GET", "/v1/threads")).status_code == 200
        assert (await http.head("/v1/threads", headers=bearer(reader))).status_code == 200
        assert (await asked(reader, "POST", "/v1/threads", {})).status_code == 403
        assert (await asked(reader, "POST", "/v1/chat/completions", {"no": "chat"})).status_code == 403, "not 400"
        assert (await asked(nothing, "POST", "/v1/threads", {})).status_code == 200
        assert (await asked(nothing, "GET", "/v1/threads")).status_code == 403
        openai = AsyncOpenAI(base_url="http://localhost/v1", api_key=reader, http_client=http, max_retries=0)
        body: Any = hello
        with pytest.raises(PermissionDeniedError):
            await openai.chat.completions.create(**body, stream=True)


@pytest.mark.anyio
async def test_what_is_changed_holds_from_the_next_request_on(path: Path, make_key: MakeKey) -> None:
    first = make_key("first")
    async with served(path) as jan, client(jan, base_url="http://localhost") as http:

        async def status(key: str) -> int:
            return (await http.get("/v1/models", headers=bearer(key))).status_code

        assert await status(first) == 200
        second = make_key("second")
        assert [await status(first), await status(second)] == [200, 200]
        changes.revoke(str(path), path.parent, "first")
        assert [await status(first), await status(second)] == [401, 200]
        text = content(path)
        for more, expected in (
            ("expires = 2020-01-01\n", 401),
            ('allow = ["chat"]\n', 403),
            ("", 200),
            ("x = 1\n", 401),
        ):
            write(path, text + more)
            assert await status(second) == expected, more


@pytest.mark.anyio
async def test_while_the_keys_cannot_be_read_nobody_passes_and_no_key_is_called_wrong(
    path: Path, make_key: MakeKey
) -> None:
    key = make_key()
    text = content(path)
    async with served(path) as jan, client(jan, base_url="http://localhost") as http:
        for broken in ("", "[keys", None):
            write(path, broken)
            reply = await http.get("/v1/models", headers=bearer(key))
            assert (reply.status_code, error(reply)["code"]) == (503, "keys_unreadable")
            assert reply.headers["retry-after"]
            assert "keys.toml" not in reply.text
            assert (await http.get("/v1/models")).status_code == 401
            assert (await http.get("/v1/models", headers=bearer("x"))).status_code == 401
            assert (await http.get("/health")).status_code == 200
            write(path, text)
            assert (await http.get("/v1/models", headers=bearer(key))).status_code == 200


@pytest.mark.anyio
async def test_the_name_is_known_and_the_key_is_not(
    path: Path, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = make_key("laptop")
    small = make_key("small", "models:read")
    seen: list[tuple[str | None, str]] = []
    lines: list[str] = []

    def wrap(settings: Any, jan: Any) -> Any:
        async def look(proceed: Any, body: Any) -> Any:
            context = call.current()
            seen.append((context and context.key_name, "operation"))
            return await proceed(body)

        return {"*": look}

    def around(settings: Any, jan: Any) -> Any:
        def wrapped(app: Any) -> Any:
            async def layer(scope: Any, receive: Any, send: Any) -> None:
                context = call.current()
                seen.append((context and context.key_name, repr(scope["headers"])))
                await app(scope, receive, send)

            return layer

        return wrapped

    after = part(monkeypatch, "after", wrap_chat=wrap, asgi_wrapper=around)
    async with served(path, plugins={**PLUGIN, "after": after}) as jan:
        app = RequestLog(create_app(jan).app, write=lines.append)
        async with httpx2.AsyncClient(transport=AppTransport(app), base_url="http://localhost") as http:
            for stream in (False, True):
                body = chat_body("hello", stream=stream)
                reply = await http.post("/v1/chat/completions", json=body, headers=bearer(key))
                assert reply.status_code == 200
                assert key not in reply.text
            assert (await http.get("/v1/threads", headers=bearer(small))).status_code == 403
            assert (await http.get("/v1/models", headers=bearer(key + "x"))).status_code == 401
    assert [name for name, _ in seen] == ["laptop"] * 4
    logged = [json.loads(line) for line in lines]
    assert [one.get("key_name") for one in logged] == ["laptop", "laptop", "small", None]
    assert [one["status"] for one in logged] == [200, 200, 403, 401]
    assert [one.get("error") for one in logged] == [None, None, "insufficient_scope", "invalid_api_key"]
    everything = caplog.text + "".join(lines) + repr(seen)
    for secret in (key, small, key.split("_")[2], "uthorization"):
        assert secret not in everything


@pytest.mark.anyio
@pytest.mark.parametrize("order", [("auth-keys", "other"), ("other", "auth-keys")])
async def test_in_any_order_nothing_reaches_an_operation(
    path: Path, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    key = make_key()
    reached: list[str] = []

    def wrap(settings: Any, jan: Any, endpoint: Any) -> Any:
        async def count(proceed: Any, *arguments: Any) -> Any:
            reached.append(proceed.operation.qualified)
            return await proceed(*arguments)

        return {"*": count}

    values = {**PLUGIN, "other": part(monkeypatch, "other", wrap_every=wrap)}
    jan = served(path, plugins={name: values[name] for name in order})
    async with jan, client(jan, base_url="http://localhost") as http:
        assert (await http.get("/v1/models")).status_code == 401
        assert reached == []
        assert (await http.get("/v1/models", headers=bearer(key))).status_code == 200
        assert reached == ["models.list"]


@pytest.mark.anyio
async def test_a_client_that_leaves_ends_its_generation(path: Path, make_key: MakeKey) -> None:
    key = make_key()
    async with served(path) as jan, client(jan) as http:
        openai = AsyncOpenAI(base_url="http://localhost/v1", api_key=key, http_client=http, max_retries=0)
        body: Any = chat_body({"say": ["a"], "hang": True})
        stream = await openai.chat.completions.create(**body, stream=True)
        async for _ in stream:
            break
        assert len(jan.under_way) == 1
        await stream.close()
        assert len(jan.under_way) == 0


@pytest.mark.anyio
async def test_a_refused_request_with_a_long_body_loses_its_connection(path: Path, make_key: MakeKey) -> None:
    make_key()
    async with served(path) as jan, client(jan) as http:
        for size, closed in ((100, False), (100_000, True)):
            reply = await http.post("/chat/completions", json={"x": "a" * size})
            assert reply.status_code == 401
            assert (reply.headers.get("connection") == "close") is closed

        async def pieces() -> Any:
            yield b"{}"

        chunked = {"content-type": "application/json", "transfer-encoding": "chunked"}
        reply = await http.post("/chat/completions", content=pieces(), headers=chunked)
        assert (reply.status_code, reply.headers["connection"]) == (401, "close")


@pytest.mark.anyio
async def test_other_scopes_do_not_pass_but_the_lifespan_does(path: Path, make_key: MakeKey) -> None:
    make_key()
    seen: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError("nothing is received or sent")

    jan = served(path)
    create_app(jan)
    found = [one for one in _layers(create_app(jan)) if isinstance(one, Gate)]
    gate = Gate(inner, found[0]._keys, found[0]._routes)
    for kind in ("lifespan", "websocket", "other"):
        await gate({"type": kind, "path": "/health", "headers": []}, nothing, nothing)
    assert seen == ["lifespan"]


@pytest.mark.anyio
async def test_a_flood_of_wrong_keys_leaves_the_others_answered(path: Path, make_key: MakeKey) -> None:
    key = make_key()
    async with served(path, modules=SCRIPTED) as jan, client(jan, base_url="http://localhost") as http:

        async def wrong(number: int) -> int:
            return (await http.get("/v1/models", headers=bearer(f"jan_{number:012d}_{'x' * 43}"))).status_code

        async def right() -> int:
            return (await http.get("/v1/models", headers=bearer(key))).status_code

        done = await asyncio.gather(*(wrong(n) for n in range(500)), *(right() for _ in range(20)))
        assert done == [401] * 500 + [200] * 20


def _layers(app: Any) -> list[Any]:
    found = []
    while app is not None:
        found.append(app)
        app = getattr(app, "app", None) or getattr(app, "_app", None)
    return found
