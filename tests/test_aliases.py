from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jan_core import aliases
from jan_core.app import Jan
from jan_core.errors import InvalidRequest, ModelNotFound
from jan_core.inprocess import client
from jan_core.refusal import Refusal
from jan_core.schemas.models import ModelDeleted, ModelLocation
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import wired
from tests.parts import chat_body, part, plugins

pytestmark = pytest.mark.anyio

KNOWN: dict[str, str | None] = {"real": "red", "with@sign": "red", "a@red": "red", "free": None}
TABLE = {"gpt-4o-mini": "real", "chain": "gpt-4o-mini", "picked": "real@blue", "gone": "nothing", "real": "free"}


class Red(ScriptedChat):
    engine = "red"


class Blue(ScriptedChat):
    engine = "blue"


class Asked(ModelsInMemory):
    """Tells which ids it was asked for; an id with a colon is none to it."""

    def __init__(self) -> None:
        super().__init__(dict(KNOWN))
        self.asked: list[str] = []

    async def locate(self, model: str) -> ModelLocation:
        self.asked.append(model)
        if ":" in model:
            raise InvalidRequest("no id", param="model", code="invalid_id")
        return await super().locate(model)


class App:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.models = Asked()
        self.red, self.blue = Red(), Blue()

    def jan(self, table: Mapping[str, Any] = TABLE, **parts: Any) -> Jan:
        modules = {
            "models-m": part(self.monkeypatch, "models-m", provide_models=lambda: self.models),
            "chat-red": part(self.monkeypatch, "chat-red", provide_chat=lambda: self.red),
            "chat-blue": part(self.monkeypatch, "chat-blue", provide_chat=lambda: self.blue),
        }
        return wired(self.folder, {"aliases": table}, modules=modules, **parts)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    return App(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("name", "id", "engine"),
    [
        ("real", "real", "red"),  # a model goes before an alias of its name
        ("gpt-4o-mini", "real", "red"),
        ("chain", "real", "red"),
        ("picked", "real", "blue"),
        ("gpt-4o-mini@blue", "real", "blue"),
        ("picked@red", "real", "red"),
        ("real@blue", "real", "blue"),
        ("free@blue", "free", "blue"),
        ("with@sign", "with@sign", "red"),
        ("with@sign@blue", "with@sign", "blue"),
        ("a@red", "a@red", "red"),  # the exact id, not the engine red for a model a
    ],
)
async def test_every_name_leads_to_its_model_and_engine(app: App, name: str, id: str, engine: str | None) -> None:
    async with app.jan() as jan:
        for _ in range(2):
            found = await jan.models.locate(name)
            assert (found.id, found.engine) == (id, engine)
            assert (await jan.models.retrieve(name)).id == name


async def test_replies_streams_and_the_log_name_what_was_asked_for(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    async with app.jan() as jan, client(jan) as http:
        for name, target in (("gpt-4o-mini", app.red), ("picked", app.blue), ("real@blue", app.blue)):
            before = target.closed
            reply = await http.post("chat/completions", json=chat_body("hi", name))
            assert reply.json()["model"] == name
            streamed = await http.post("chat/completions", json=chat_body("hi", name, stream=True))
            assert streamed.text.count(f'"model":"{name}"') == streamed.text.count("chat.completion.chunk") > 1
            assert target.closed == before + 2
    assert capsys.readouterr().err.count('"model": "real@blue"') == 2


async def test_they_are_listed_as_models_once_each(app: App) -> None:
    async with app.jan() as jan, client(jan) as http:
        ids = [one["id"] for one in (await http.get("models")).json()["data"]]
        assert ids == sorted([*KNOWN, "gpt-4o-mini", "chain", "picked"])
        assert jan.aliases.hidden == {"real"}
        shown = await http.get("models/gpt-4o-mini")
        assert shown.json() == {"id": "gpt-4o-mini", "object": "model", "created": 0, "owned_by": "memory"}


async def test_what_leads_nowhere_is_a_404_that_names_alias_and_target(app: App) -> None:
    async with app.jan() as jan, client(jan) as http:
        for reply in (
            await http.post("chat/completions", json=chat_body("hi", "gone")),
            await http.get("models/gone"),
        ):
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
            assert (
                "'gone' is an alias of 'nothing' (test [aliases] gone). There is no model 'nothing'" in error["message"]
            )
        for name in ("unknown", "unknown@red", "@red", "real@", "real@RED", "real@red@blue", ":", ":@red"):
            with pytest.raises((ModelNotFound, InvalidRequest)) as refused:
                await jan.models.locate(name)
            assert refused.value.code in ("model_not_found", "invalid_id"), name


async def test_an_engine_that_nobody_runs_is_refused(app: App) -> None:
    async with app.jan() as jan, client(jan) as http:
        for reply in (
            await http.get("models/real@green"),
            await http.post("chat/completions", json=chat_body("hi", "real@green")),
        ):
            error = reply.json()["error"]
            assert (reply.status_code, error["code"], error["param"]) == (400, "engine_not_available", "model")
            assert "'green'" in error["message"]
            assert "blue" in error["message"]


async def test_an_alias_is_not_deleted_and_neither_is_its_model(app: App) -> None:
    async with app.jan() as jan:
        with pytest.raises(InvalidRequest, match="'gpt-4o-mini' is an alias of 'real'") as refused:
            await jan.models.delete("gpt-4o-mini")
        assert refused.value.code == "model_is_alias"
        with pytest.raises(ModelNotFound):
            await jan.models.delete("real@blue")
        assert "real" in app.models.engines
        assert await jan.models.delete("with@sign") == ModelDeleted(id="with@sign", deleted=True)


async def test_a_look_in_vain_is_believed_for_a_while_and_a_new_model_wins_then(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.jan() as jan:
        for _ in range(3):
            await jan.models.locate("gpt-4o-mini")
        assert app.models.asked == ["gpt-4o-mini", "real", "real", "real"]
        app.models.engines["gpt-4o-mini"] = "blue"
        monkeypatch.setattr(aliases, "TRUSTED", 0.0)
        jan.aliases._no_models.clear()
        assert (await jan.models.locate("gpt-4o-mini")).engine == "blue"


async def test_plugins_see_the_name_that_the_caller_gave(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def look(proceed: Any, model: str) -> Any:
        seen.append(model)
        return await proceed(model)

    async with app.jan(plugins=plugins(monkeypatch, "wrap_models", p={"locate": look})) as jan:
        assert (await jan.models.locate("chain")).id == "real"
    assert seen == ["chain"]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"a": "a"}, "it leads to itself: a -> a"),
        ({"a": "b", "b": "c", "c": "a"}, "it leads to itself: a -> b -> c -> a"),
        ({"a": "b", "b": "a@red"}, "it leads to itself"),
        ({"a": ""}, "an alias leads to a model's id"),
        ({"a": 5}, "an alias leads to a model's id"),
        ({" ": "b"}, "an alias leads to a model's id"),
        ({"gpt-3": {"5-turbo": "b"}}, "a name with dots must stand in quotes"),
        ({f"a{number}": f"a{number + 1}" for number in range(40)}, "it leads on more than 8 times"),
    ],
)
def test_a_bad_table_refuses_the_start_and_says_where(app: App, table: dict[str, Any], told: str) -> None:
    with pytest.raises(Refusal) as refused:
        app.jan(table)
    assert told in refused.value.cause
    assert "test [aliases]" in refused.value.asked


def test_the_file_and_the_line_are_told(app: App) -> None:
    (app.folder / "jan.toml").write_text('[aliases]\n"gpt-3.5-turbo" = "real"\nb = "b"\n')
    with pytest.raises(Refusal, match=r"jan\.toml, line 3"):
        app.jan({})


def test_an_alias_must_not_hide_how_an_engine_is_picked(app: App) -> None:
    with pytest.raises(Refusal) as refused:
        app.jan({"gpt@red": "real"})
    assert "gpt@red" in refused.value.asked
    assert "the model 'gpt' on the engine 'red'" in str(refused.value.cause)
    app.jan({"claude-3-5-sonnet@20240620": "real", "real@green": "free"})  # no engine here has such a name


@pytest.mark.parametrize(
    ("name", "model", "engine"),
    [
        ("real", "free", None),
        ("chain", "free", None),
        ("picked", "real", "blue"),
        ("x@red", "x", "red"),
        ("nothing", "nothing", None),
    ],
)
def test_where_a_name_leads_as_the_aliases_have_it(app: App, name: str, model: str, engine: str | None) -> None:
    assert app.jan().aliases.resolved(name) == (model, engine)
