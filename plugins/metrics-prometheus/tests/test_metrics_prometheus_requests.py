from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.parts import NOTES, part

from .conftest import PLUGIN, served


@pytest.mark.anyio
async def test_requests_are_counted_by_template_and_status(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        thread = (await one.http.post("/threads", json={})).json()["id"]
        for name in (thread, thread, "thread_none", "thread_nobody"):
            await one.http.get(f"/threads/{name}")
        await one.http.get("/models/scripted")
        await one.http.get("http://localhost/health")
        page = await one.page()
    assert page.value("jan:http_requests_total", route="/v1/threads", method="POST", status="200") == 1
    assert page.value("jan:http_requests_total", route="/v1/threads/{thread_id}", method="GET", status="200") == 2
    assert page.value("jan:http_requests_total", route="/v1/threads/{thread_id}", status="404") == 2
    assert page.value("jan:http_requests_total", route="/v1/models/{model:path}", status="200") == 1
    assert page.value("jan:http_requests_total", route="/health", status="200") == 1
    assert page.value("jan:http_request_duration_seconds_count", route="/v1/threads/{thread_id}") == 4
    assert page.value("jan:http_request_duration_seconds_bucket", route="/v1/threads/{thread_id}", le="+Inf") == 4
    assert thread not in page.text
    assert "thread_no" not in page.text


@pytest.mark.anyio
async def test_what_clients_make_up_makes_no_series(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        for number in range(10):
            await one.http.get(f"http://localhost/nowhere/{number}")
            await one.http.request(f"WORD{number}", "/models")
        page = await one.page()
    assert page.labels("jan:http_requests_total", "route") <= {"other", "/v1/models"}
    assert page.labels("jan:http_requests_total", "method") == {"GET", "other"}
    assert page.value("jan:http_requests_total", status="404", route="other", method="GET") == 10
    assert page.value("jan:http_requests_total", method="other") == 10


@pytest.mark.anyio
async def test_endpoints_and_routes_of_strangers_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hello(request: Any) -> PlainTextResponse:
        if request.path_params["name"] == "fail":
            raise LookupError("inside")
        return PlainTextResponse("hello", 203)

    notes = part(monkeypatch, "notes-memory", provide_notes=lambda: _notes())
    pages = part(monkeypatch, "pages", register_routes=lambda: [Route("/hello/{name}", hello)])
    plugins = {**PLUGIN, "pages": pages}
    async with served(tmp_path, modules={"notes-memory": notes}, plugins=plugins, **NOTES) as one:
        await one.http.post("/notes", json={"text": "a"})
        await one.http.get("/notes/none")
        await one.http.get("http://localhost/hello/ada")
        with pytest.raises(LookupError):
            await one.http.get("http://localhost/hello/fail")
        page = await one.page()
    assert page.value("jan:http_requests_total", route="/v1/notes", status="200") == 1
    assert page.value("jan:http_requests_total", route="/v1/notes/{note_id}", status="404") == 1
    assert page.value("jan:http_requests_total", route="/hello/{name}", status="203") == 1
    assert page.value("jan:http_requests_total", route="/hello/{name}", status="500") == 1


def _notes() -> Any:
    from tests.notes import NotesInMemory

    return NotesInMemory()


@pytest.mark.anyio
@pytest.mark.parametrize("first", [True, False])
async def test_what_another_plugin_answers_is_counted_where_it_is_inside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    def around(settings: Any, jan: Any) -> Any:
        async def refuse(scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("no", 401)(scope, receive, send)

        return lambda app: (
            lambda scope, receive, send: (app if scope["path"] == "/metrics" else refuse)(scope, receive, send)
        )

    guard = {"guard": part(monkeypatch, "guard", asgi_wrapper=around)}
    async with served(tmp_path, plugins={**PLUGIN, **guard} if first else {**guard, **PLUGIN}) as one:
        assert (await one.http.get("/models")).status_code == 401
        page = await one.page()
    assert page.value("jan:http_requests_total", route="other", status="401") == first
