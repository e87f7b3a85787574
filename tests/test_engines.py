from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
from pydantic import BaseModel

from jan_core.app import Jan
from jan_core.backend import Engine
from jan_core.endpoints.engines import Engines
from jan_core.errors import Conflict
from jan_core.inprocess import client
from jan_core.installed import Installed
from jan_core.schemas.engines import EngineModel, Estimate
from jan_core.schemas.models import ModelLocation
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import KERNEL, wired
from tests.parts import part, plugins

pytestmark = pytest.mark.anyio

CLOCK = itertools.count(1)
ALL = {**KERNEL, "engines": "jan_core.endpoints.engines:Engines"}
MODELS: dict[str, str | None] = {"m": "red", "free": None, "b": "blue", "odd": "green"}


class Settings(BaseModel):
    pass


class Red(Engine):
    """Holds names."""

    name: ClassVar[str] = "jan-red"
    settings_model: ClassVar[type[BaseModel]] = Settings
    engine: ClassVar[str] = "red"

    def __init__(self, settings: Any, jan: Jan) -> None:
        super().__init__(settings, jan)
        self.held: dict[tuple[str, str], int | None] = {}
        self.looked = 0

    def loaded(self) -> list[EngineModel]:
        return [self.shown(*key) for key in self.held]

    async def load(self, location: ModelLocation, purpose: str = "") -> EngineModel:
        self.held[location.id, purpose] = next(CLOCK)
        return self.shown(location.id, purpose)

    async def unload(self, model: str, *, purpose: str | None = None, force: bool = False) -> list[EngineModel]:
        found = [key for key in self.held if key[0] == model and purpose in (None, key[1])]
        if any(self.held[key] is None for key in found) and not force:
            raise Conflict("in use", code="model_in_use")
        gone = [self.shown(*key) for key in found]
        for key in found:
            del self.held[key]
        return gone

    def look_again(self) -> None:
        self.looked += 1

    def estimate(self, location: ModelLocation, purpose: str = "") -> Estimate:
        return Estimate(total=5, parts={"weights": 5})

    def shown(self, id: str, purpose: str) -> EngineModel:
        told = {"pid": None, "memory": None, "estimated": 5, "context": 1, "slots": 1, "busy": 0, "waiting": 0}
        since = self.held[id, purpose]
        more = {"pinned": False, "idle_since": since, "until": None, "state": "loaded"}
        return EngineModel.model_validate({"id": id, "engine": self.engine, "purpose": purpose, **told, **more})


class Blue(Red):
    name: ClassVar[str] = "jan-blue"
    engine: ClassVar[str] = "blue"


Build = Callable[..., Jan]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    def provide_chat(jan: Jan) -> ScriptedChat:
        jan.backend(Red)
        jan.backend(Blue)
        return ScriptedChat()

    def make(**parts: Any) -> Jan:
        modules = {
            "models-m": part(monkeypatch, "models-m", provide_models=lambda: ModelsInMemory(dict(MODELS))),
            "chat-c": part(monkeypatch, "chat-c", provide_chat=provide_chat),
        }
        return wired(tmp_path, {"aliases": {"alias": "m", "picked": "m@blue"}}, modules=modules, endpoints=ALL, **parts)

    return make


@pytest.fixture
async def http(build: Build) -> AsyncIterator[httpx2.AsyncClient]:
    async with build() as jan, client(jan, base_url="http://localhost") as made:
        yield made


async def post(http: httpx2.AsyncClient, path: str, **body: Any) -> tuple[int, Any]:
    reply = await http.post(path, json=body)
    return reply.status_code, reply.json()


async def listed(http: httpx2.AsyncClient) -> list[tuple[str, str, str]]:
    data = (await http.get("/engines/models")).json()["data"]
    return [(one["id"], one["engine"], one["purpose"]) for one in data]


async def test_a_model_is_loaded_by_its_engine_or_the_one_that_is_picked(http: httpx2.AsyncClient) -> None:
    assert await listed(http) == []
    for name, id, engine in (("m", "m", "red"), ("b", "b", "blue"), ("free", "free", "red"), ("m@blue", "m", "blue")):
        status, told = await post(http, "/engines/load", model=name)
        assert (status, told["id"], told["engine"], told["state"]) == (200, id, engine, "loaded")
    assert (await post(http, "/engines/load", model="alias", purpose="embeddings"))[1]["id"] == "m"
    # Those asked last come first.
    assert await listed(http) == [
        ("m", "red", "embeddings"),
        ("m", "blue", ""),
        ("free", "red", ""),
        ("b", "blue", ""),
        ("m", "red", ""),
    ]


async def test_unloading_takes_every_purpose_and_engine_or_the_one_that_is_picked(http: httpx2.AsyncClient) -> None:
    for body in ({"model": "m"}, {"model": "m", "purpose": "x"}, {"model": "m@blue"}, {"model": "b"}):
        await post(http, "/engines/load", **body)
    status, told = await post(http, "/engines/unload", model="m@blue")
    assert (status, [one["engine"] for one in told["data"]]) == (200, ["blue"])
    for body in ({"model": "m@blue"}, {"model": "m", "purpose": "y"}):
        await post(http, "/engines/load", **body)
    status, told = await post(http, "/engines/unload", model="picked")
    assert [(one["engine"], one["purpose"]) for one in told["data"]] == [("blue", "")], "an alias picks an engine too"
    status, told = await post(http, "/engines/unload", model="m", purpose="y")
    assert [(one["engine"], one["purpose"]) for one in told["data"]] == [("red", "y")]
    status, told = await post(http, "/engines/unload", model="alias")
    assert (status, told["object"], len(told["data"])) == (200, "list", 2)
    assert await listed(http) == [("b", "blue", "")]
    assert (await post(http, "/engines/unload", model="m"))[1]["data"] == []


async def test_one_that_is_in_use_is_refused_and_one_whose_files_are_gone_is_not(build: Build) -> None:
    async with build() as jan, client(jan, base_url="http://localhost") as http:
        await post(http, "/engines/load", model="m")
        jan.backend(Red).held["m", ""] = None
        status, told = await post(http, "/engines/unload", model="m")
        assert (status, told["error"]["code"]) == (409, "model_in_use")
        assert jan.backend(Red).looked == 0
        await jan.models.delete("m")
        assert (jan.backend(Red).looked, jan.backend(Blue).looked) == (1, 1), "its files are gone: it need not stay"
        assert (await post(http, "/engines/unload", model="m@red", force=True))[0] == 200
        status, told = await post(http, "/engines/unload", model="m")
        assert (status, told["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "none"}, 404, "model_not_found", "model"),
        ({"model": "odd"}, 400, "engine_not_available", "model"),
        ({"model": ""}, 400, None, "model"),
        ({"model": 5}, 400, None, "model"),
        ({"model": "m" * 600}, 400, None, "model"),
        ({}, 400, None, "model"),
        ({"model": "m", "more": 1}, 400, None, "more"),
        ({"model": "m", "purpose": "../x"}, 400, None, "purpose"),
    ],
)
async def test_a_bad_request_names_the_field(
    http: httpx2.AsyncClient, body: dict[str, Any], status: int, code: str | None, param: str
) -> None:
    found, told = await post(http, "/engines/load", **body)
    assert (found, told["error"]["param"]) == (status, param)
    assert code in (None, told["error"]["code"])


async def test_what_is_installed_and_not_chosen_is_told_with_its_line(build: Build) -> None:
    async with build() as jan, client(jan, base_url="http://localhost") as http:
        told = (await post(http, "/engines/load", model="odd"))[1]["error"]["message"]
        assert told.endswith("Install a module that runs it, and choose that under [endpoints] of jan.toml.")
        green = Installed("modules", "chat-green", EntryPoint("chat-green", "x", "jan.modules"))
        jan.discovery.installed["modules"].append(green)
        told = (await post(http, "/engines/load", model="m@green"))[1]["error"]["message"]
        assert "'m@green' needs the engine 'green'; engines here: red, blue." in told
        assert told.endswith('write chat = ["chat-c", "chat-green"] under [endpoints] of jan.toml.')


async def test_it_is_an_endpoint_like_the_others(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def look(proceed: Any, *arguments: Any) -> Any:
        seen.append(proceed.operation.qualified)
        return await proceed(*arguments)

    jan = build(plugins=plugins(monkeypatch, "wrap_engines", p={"*": look}))
    async with jan, client(jan, base_url="http://localhost") as http:
        assert isinstance(jan.engines, Engines)
        paths = (await http.get("/openapi.json")).json()["paths"]
        assert {"/engines/models", "/engines/load", "/engines/unload"} <= set(paths)
        await http.get("/engines/models")
        refused = await http.post("/engines/load", content=b"{}", headers={"content-type": "text/plain"})
        assert refused.status_code == 415
        foreign = await http.get("/engines/models", headers={"host": "evil.example"})
        assert foreign.status_code == 421
    assert seen == ["engines.list"]


async def test_the_config_may_choose_another_or_none(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "jan.toml").write_text("[endpoints]\nengines = []\n")
    assert "engines" not in build().endpoints
