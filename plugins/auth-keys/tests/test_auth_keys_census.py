"""Every route of an app with everything in it, a stranger's endpoint and other plugins' routes included."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from jan_core.asgi import Routes
from jan_core.inprocess import client
from jan_core.testing.wired import EVERYTHING, wired
from tests.notes import NotesInMemory
from tests.parts import NOTES, part

MakeKey = Callable[..., str]


async def answer(request: Request) -> Response:
    return JSONResponse({"reached": request.url.path})


def brought(settings: Any, jan: Any) -> list[BaseRoute]:
    """What a plugin of somebody else brings."""
    return [
        Route("/metrics", answer),
        Route("/admin/{name:path}", answer, methods=["GET", "POST"]),
        Mount("/pages", routes=[Route("/one", answer, methods=["GET"])]),
    ]


def calls(routes: Routes) -> list[tuple[str, str, str]]:
    """Method, path and owner of every request that some route answers, but for `/health`."""
    found = []
    for route, owner in routes:
        if isinstance(route, Mount):
            found += [("GET", route.path + one.path, owner) for one in route.routes if isinstance(one, Route)]
            continue
        assert isinstance(route, Route), f"look at {route} here too"
        path = re.sub(r"\{\w+:path\}", "a/b", route.path)
        path = re.sub(r"\{\w+\}", "a", path)
        found += [(method, path, owner) for method in sorted(route.methods or ())]
    return [one for one in found if one[1] != "/health"]


@pytest.mark.anyio
async def test_every_route(path: Path, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch) -> None:
    key = make_key("all")
    plugins = {
        "other": part(monkeypatch, "other", register_routes=brought),
        "auth-keys": "jan_auth_keys",
    }
    modules = {**EVERYTHING, "notes-memory": part(monkeypatch, "notes-memory", provide_notes=lambda: NotesInMemory())}
    jan = wired(path.parent, modules=modules, endpoints=NOTES["endpoints"], plugins=plugins)
    async with jan, client(jan, base_url="http://localhost") as http:
        assert jan.routes is not None
        asked = calls(jan.routes)
        public = {one.path for had in jan.endpoints.values() for one in had.operations().values() if one.path}
        assert len({path for _, path, owner in asked if owner in jan.endpoints}) == len(public) > 10
        assert {"notes", "other", "", "chat", "threads", "messages"} <= {owner for _, _, owner in asked}
        assert {"/openapi.json", "/metrics", "/admin/a/b", "/pages/one"} <= {path for _, path, _ in asked}
        owners = sorted({owner for _, _, owner in asked if owner})
        keys = {
            (owner, access): make_key(f"{owner}-{access}", f"{owner}:{access}")
            for owner in owners
            for access in ("read", "write")
        }
        for method, where, owner in asked:
            body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
            without = await http.request(method, where, **body)
            assert without.status_code == 401, (method, where)
            assert without.headers["www-authenticate"].startswith("Bearer")
            if method != "HEAD":
                assert without.json()["error"]["code"] == "invalid_api_key"
            access = "read" if method in ("GET", "HEAD") else "write"
            for (other, may), one in keys.items():
                reply = await http.request(method, where, headers={"authorization": f"Bearer {one}"}, **body)
                allowed = not owner or (other, may) == (owner, access)
                assert (reply.status_code not in (401, 403)) is allowed, (method, where, other, may)
            reply = await http.request(method, where, headers={"authorization": f"Bearer {key}"}, **body)
            assert reply.status_code not in (401, 403, 405), (method, where)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "WHATEVER"):
            for where in ("/", "/nothing", "/v1", "/health/x", "/openapi.json/", "/v1/chat/completions"):
                assert (await http.request(method, where)).status_code == 401, (method, where)
