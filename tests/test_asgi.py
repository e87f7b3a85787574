from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Message

from jan_core.app import Jan
from jan_core.asgi import _lifespan, _Straight, create_app
from jan_core.backend import Backend
from jan_core.errors import Unavailable
from jan_core.inprocess import AppTransport, client
from jan_core.refusal import Refusal
from jan_core.settings import ServerSettings
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import EVERYTHING, wired
from tests.parts import part


def routes(monkeypatch: pytest.MonkeyPatch, path: str, answer: Any) -> dict[str, str]:
    return {"extra": part(monkeypatch, "extra", register_routes=lambda: [Route(path, answer)])}


@pytest.mark.anyio
async def test_health_says_alive_and_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Chat(ScriptedChat):
        missing = True

        async def ready(self) -> None:
            if self.missing:
                raise Unavailable("No model is loaded.", code="no_model")

    chat = Chat()
    modules = {"chat-c": part(monkeypatch, "chat-c", provide_chat=lambda: chat)}
    async with wired(tmp_path, modules=modules) as jan, client(jan, base_url="http://localhost") as http:
        alive = await http.get("/health")
        assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
        for query in ("ready", "ready=1", "x=1&ready"):
            waiting = await http.get(f"/health?{query}")
            assert (waiting.status_code, waiting.json()["error"]["code"]) == (503, "no_model")
            assert waiting.headers["retry-after"] == "1"
        assert (await http.get("/health?already")).status_code == 200
        chat.missing = False
        ready = await http.get("/health?ready")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        jan.under_way.stop()
        assert (await http.get("/health?ready")).json()["error"]["code"] == "stopping"
        assert (await http.get("/health")).status_code == 200


@pytest.mark.anyio
async def test_parts_are_told_when_it_serves_and_not_when_a_command_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Ahead(Backend):
        name = "jan-ahead"
        settings_model = ServerSettings

        async def serving(self) -> None:
            told.append("backend")

    class Models(ModelsInMemory):
        async def serving(self) -> None:
            told.append("endpoint")

    def provide_models(jan: Jan) -> ModelsInMemory:
        jan.backend(Ahead)
        return Models()

    def jan() -> Jan:
        return wired(tmp_path, modules={"models-m": part(monkeypatch, "models-m", provide_models=provide_models)})

    async with jan():
        assert told == []
    async with _lifespan(jan(), Starlette()):
        assert told == ["backend", "endpoint"]


@pytest.mark.anyio
async def test_ready_needs_chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"models-m": part(monkeypatch, "models-m", provide_models=lambda: ModelsInMemory())}
    async with wired(tmp_path, modules=modules) as jan, client(jan, base_url="http://localhost") as http:
        reply = await http.get("/health?ready")
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "not_ready")


@pytest.mark.anyio
async def test_every_reply_has_an_own_request_id(tmp_path: Path) -> None:
    async with wired(tmp_path) as jan, client(jan, base_url="http://localhost") as http:
        bad = {"content": b"{", "headers": {"content-type": "application/json"}}
        replies = {
            200: await http.get("/v1/models"),
            404: await http.get("/v1/nothing"),
            405: await http.put("/v1/models"),
            400: await http.post("/v1/chat/completions", **bad),
            415: await http.post("/v1/chat/completions", content=b"x"),
            421: await http.get("/v1/models", headers={"host": "evil.example"}),
            403: await http.get("/v1/models", headers={"origin": "https://evil.example"}),
        }
        other = [await http.get("/health"), await http.get("/openapi.json"), await http.get("/v1/models/none")]
    ids = []
    for status, reply in replies.items():
        assert reply.status_code == status
        if status != 200:
            assert [*reply.json()["error"]] == ["message", "type", "param", "code"]
    for reply in [*replies.values(), *other]:
        assert reply.headers["content-type"] == "application/json"
        ids += reply.headers.get_list("x-request-id")
    assert len({*ids}) == len(ids) == len(replies) + len(other)
    assert all(one.startswith("req_") for one in ids)


@pytest.mark.anyio
async def test_an_unknown_path_and_a_wrong_method_are_told(tmp_path: Path) -> None:
    async with wired(tmp_path) as jan, client(jan, base_url="http://localhost") as http:
        missing = await http.get("/v1/nothing")
        assert missing.json()["error"] == {
            "message": "There is no GET /v1/nothing; /openapi.json lists what there is.",
            "type": "invalid_request_error",
            "param": None,
            "code": "not_found",
        }
        slash = await http.get("/v1/models/")
        assert slash.status_code in (400, 404)
        wrong = await http.put("/v1/models")
        assert wrong.json()["error"]["code"] == "method_not_allowed"
        assert sorted(wrong.headers["allow"].split(", ")) == ["GET", "HEAD"]


@pytest.mark.anyio
async def test_the_lifespan_enters_and_leaves_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Noted(ModelsInMemory):
        async def __aenter__(self) -> Noted:
            told.append("enter")
            return self

        async def __aexit__(self, *error: Any) -> None:
            told.append("leave")

    jan = wired(tmp_path, modules={"models-m": part(monkeypatch, "models-m", provide_models=lambda: Noted())})
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        told.append(message["type"])

    await create_app(jan)({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)
    assert told == ["enter", "lifespan.startup.complete", "leave", "lifespan.shutdown.complete"]


@pytest.mark.anyio
async def test_asgi_wrappers_go_inside_the_guard_first_plugin_outermost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def around(name: str) -> Any:
        def wrap(app: Any) -> Any:
            async def layer(scope: Any, receive: Any, send: Any) -> None:
                seen.append(f"{name} {scope['state']['request_id'][:4]}")
                await app(scope, receive, send)

            return layer

        return wrap

    named = {
        "a": part(monkeypatch, "a", asgi_wrapper=lambda jan: around("a")),
        "b": part(monkeypatch, "b", asgi_wrapper=lambda jan: around("b")),
    }
    async with wired(tmp_path, plugins=named) as jan, client(jan, base_url="http://localhost") as http:
        assert (await http.get("/v1/models")).status_code == 200
        assert seen == ["a req_", "b req_"]
        assert (await http.get("/v1/models", headers={"host": "evil.example"})).status_code == 421
        assert len(seen) == 2


@pytest.mark.anyio
async def test_a_package_adds_routes_and_its_errors_keep_their_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answer(request: Request) -> Response:
        if "teapot" in request.query_params:
            raise HTTPException(418, "I am a teapot.", {"X-Tea": "green"})
        if "broken" in request.query_params:
            raise KeyError("the secret")
        return JSONResponse({"jan": isinstance(request.app.state.jan, Jan)})

    async with (
        wired(tmp_path, plugins=routes(monkeypatch, "/extra", answer)) as jan,
        client(jan, base_url="http://localhost") as http,
    ):
        assert (await http.get("/extra")).json() == {"jan": True}
        tea = await http.get("/extra?teapot")
        assert (tea.status_code, tea.headers["x-tea"]) == (418, "green")
        assert tea.json()["error"] == {
            "message": "I am a teapot.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        with pytest.raises(KeyError):  # Starlette passes it on, after the answer, to the server's log
            await http.get("/extra?broken")
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        with pytest.raises(KeyError):
            await create_app(jan)(dict(BROKEN), no_body, send)
        assert sent[0]["status"] == 500
        told = json.loads(sent[1]["body"])["error"]
        assert told["code"] == "internal_error"
        assert "req_" in told["message"]
        assert "secret" not in told["message"]


BROKEN = {
    "type": "http",
    "method": "GET",
    "path": "/extra",
    "root_path": "",
    "query_string": b"broken",
    "headers": [(b"host", b"localhost")],
}


async def no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize("path", ["/health", "/openapi.json", "/v1/models", "/v1/chat/completions"])
def test_a_route_that_is_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    async def answer(request: Request) -> Response:
        return JSONResponse({})

    with pytest.raises(Refusal, match=f"its route {path} belongs to the kernel already") as caught:
        create_app(wired(tmp_path, plugins=routes(monkeypatch, path, answer)))
    assert "plugin 'extra'" in caught.value.asked


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [("allowed_origins", ["*"], "'*'"), ("allowed_hosts", ["http://x"], "'http://x'")],
)
def test_a_listed_origin_or_host_that_is_none_is_refused(tmp_path: Path, key: str, value: Any, shown: str) -> None:
    with pytest.raises(Refusal) as caught:
        create_app(wired(tmp_path, {"server": {key: value}}))
    assert key in caught.value.asked
    assert shown in caught.value.cause


@pytest.mark.anyio
async def test_hosts_and_origins_come_from_the_settings_and_public_takes_any_host(tmp_path: Path) -> None:
    tables = {"server": {"allowed_hosts": ["my.box"], "allowed_origins": ["https://app.example"]}}
    async with wired(tmp_path, tables) as jan, client(jan, base_url="http://localhost") as http:
        assert (await http.get("/v1/models", headers={"host": "my.box:1337"})).status_code == 200
        assert (await http.get("/v1/models", headers={"host": "other.box"})).status_code == 421
        allowed = await http.get("/v1/models", headers={"origin": "https://app.example"})
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        import httpx2

        public = AppTransport(create_app(jan, public=True))
        async with httpx2.AsyncClient(transport=public, base_url="http://other.box/v1") as outside:
            assert (await outside.get("models")).status_code == 200


@pytest.mark.anyio
async def test_the_document_is_served_from_the_operations(tmp_path: Path) -> None:
    async with wired(tmp_path) as jan, client(jan, base_url="http://localhost") as http:
        reply = await http.get("/openapi.json")
        assert reply.status_code == 200
        assert "/v1/chat/completions" in json.loads(reply.content)["paths"]


@pytest.mark.anyio
async def test_paths_with_parameters_reach_their_operation_whatever_stands_in_them(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=EVERYTHING) as jan:
        straight = next(one for one in layers(create_app(jan)) if isinstance(one, _Straight))
        found = straight._find("GET", "/v1/threads/a b/messages/%2e")
        assert found is not None
        assert found[0].operations["GET"].qualified == "messages.retrieve"
        assert found[1] == {"thread_id": "a b", "message_id": "%2e"}
        for method, path in [
            ("GET", "/v1/threads//messages"),
            ("GET", "/v1/threads/a/"),
            ("GET", "/v1/threads/a/messages/b/c"),
            ("PUT", "/v1/threads/a"),
            ("GET", "/v2/threads/a"),
            ("GET", ""),
        ]:
            assert straight._find(method, path) is None, "left to Starlette, which says what is wrong"
        async with client(jan, base_url="http://localhost") as http:
            made = (await http.post("/v1/threads", json={})).json()["id"]
            assert (await http.get(f"/v1/threads/{made}/messages")).json()["data"] == []
            assert (await http.get("/v1/models/scripted")).json()["id"] == "scripted", "a value with slashes"
            wrong = await http.put(f"/v1/threads/{made}")
            assert wrong.status_code == 405
            assert "POST" in wrong.headers["allow"]
            assert (await http.get(f"/v1/threads/{made}/nothing")).status_code == 404


@pytest.mark.anyio
async def test_the_least_that_is_asked_often_goes_past_starlette(tmp_path: Path) -> None:
    async with wired(tmp_path, modules=EVERYTHING) as jan:
        straight = next(one for one in layers(create_app(jan)) if isinstance(one, _Straight))
        for endpoint in jan.endpoints.values():
            for one in endpoint.operations().values():
                if one.path is not None and "{" in one.path and ":path" not in one.path:
                    assert straight._find(str(one.method), one.path.replace("{", "").replace("}", "")), one.qualified


@pytest.mark.anyio
async def test_the_routes_tell_who_answers_as_they_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer(request: Request) -> Response:
        return JSONResponse({})

    mounted = Mount("/below", routes=[Route("/page", answer)])
    extra = {"extra": part(monkeypatch, "extra", register_routes=lambda: [Route("/extra/{name}", answer), mounted])}
    jan = wired(tmp_path, modules=EVERYTHING, plugins=extra)
    assert (jan.routes, jan.application) == (None, None)
    app = create_app(jan)
    assert jan.application is app
    routes = jan.routes
    assert routes is not None

    def told(method: str, path: str) -> tuple[str, str, str | None] | None:
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        found = routes.answering(scope)
        return found and (found.owner, found.path, found.operation.qualified if found.operation else None)

    assert told("POST", "/v1/chat/completions") == ("chat", "/v1/chat/completions", "chat.create")
    assert told("HEAD", "/v1/threads/a") == ("threads", "/v1/threads/{thread_id}", "threads.retrieve")
    assert told("GET", "/v1/models/a/b") == ("models", "/v1/models/{model:path}", "models.retrieve")
    assert told("GET", "/health") == ("", "/health", None)
    assert told("GET", "/extra/a") == ("extra", "/extra/{name}", None)
    assert told("GET", "/below/page") == ("extra", "/below", None)
    for method, path in [("PUT", "/v1/models/a"), ("POST", "/extra/a"), ("GET", "/v1"), ("OPTIONS", "/health")]:
        assert told(method, path) is None
    owners = {getattr(route, "path", ""): owner for route, owner in routes}
    public = {one.path: name for name, had in jan.endpoints.items() for one in had.operations().values() if one.path}
    assert owners == {**public, "/health": "", "/openapi.json": "", "/extra/{name}": "extra", "/below": "extra"}


def layers(app: Any) -> Iterator[Any]:
    """The ASGI apps inside one another, outermost first."""
    while app is not None:
        yield app
        app = getattr(app, "app", None) or getattr(app, "_app", None)
