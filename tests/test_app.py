from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan, open_jan
from jan_core.config import load
from jan_core.endpoint import Endpoint
from jan_core.errors import ModelNotFound
from jan_core.refusal import Refusal
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import EVERYTHING, SCRIPTED, wired
from tests.notes import NotesInMemory
from tests.parts import NOTES, chat_body, part, plugins


def refused(*arguments: Any, **named: Any) -> dict[str, str]:
    with pytest.raises(Refusal) as caught:
        wired(*arguments, **named)
    return caught.value.facts()


def noted(told: list[str], name: str, base: type[Any], fail: str = "") -> type[Any]:
    class Noted(base):  # type: ignore[misc]
        async def __aenter__(self) -> Any:
            if fail == "enter":
                raise RuntimeError(name)
            told.append(f"enter {name}")
            return self

        async def __aexit__(self, *error: Any) -> None:
            told.append(f"leave {name}")

    return Noted


@pytest.mark.anyio
async def test_the_endpoints_are_attributes_and_answer(tmp_path: Path) -> None:
    async with wired(tmp_path) as jan:
        assert [model.id for model in (await jan.models.list()).data] == ["scripted"]
        reply = await jan.chat.create(ChatCompletionRequest.model_validate(chat_body("a b")))
        assert reply.choices[0].message.content == "a b "
        with pytest.raises(AttributeError, match="no endpoint 'threads' is served; served are: models, chat"):
            _ = jan.threads


@pytest.mark.anyio
async def test_endpoints_are_entered_in_order_and_left_in_reverse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    modules = {
        "models-a": part(monkeypatch, "models-a", provide_models=lambda: noted(told, "models", ModelsInMemory)()),
        "chat-a": part(monkeypatch, "chat-a", provide_chat=lambda jan: noted(told, "chat", ScriptedChat)(jan)),
    }
    jan = wired(tmp_path, modules=modules)
    assert told == []
    async with jan:
        assert told == ["enter models", "enter chat"]
    assert told == ["enter models", "enter chat", "leave chat", "leave models"]


@pytest.mark.anyio
async def test_what_works_unasked_is_entered_last_and_left_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    models = noted(told, "models", ModelsInMemory)
    models.unasked = True
    modules = {
        "models-a": part(monkeypatch, "models-a", provide_models=lambda: models()),
        "chat-a": part(monkeypatch, "chat-a", provide_chat=lambda jan: noted(told, "chat", ScriptedChat)(jan)),
    }
    async with wired(tmp_path, modules=modules):
        assert told == ["enter chat", "enter models"]
    assert told[2:] == ["leave models", "leave chat"]


@pytest.mark.anyio
async def test_where_one_cannot_be_entered_the_entered_ones_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    modules = {
        "models-a": part(monkeypatch, "models-a", provide_models=lambda: noted(told, "models", ModelsInMemory)()),
        "chat-a": part(monkeypatch, "chat-a", provide_chat=lambda: noted(told, "chat", ScriptedChat, "enter")()),
    }
    with pytest.raises(RuntimeError, match="chat"):
        async with wired(tmp_path, modules=modules):
            raise AssertionError
    assert told == ["enter models", "leave models"]


@pytest.mark.anyio
async def test_plugins_wrap_in_the_configs_order_whatever_order_they_are_installed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def wrapper(name: str) -> Any:
        async def around(proceed: Any, *arguments: Any) -> Any:
            seen.append(name)
            return await proceed(*arguments)

        return {"*": around}

    named = plugins(monkeypatch, "wrap_models", **{name: wrapper(name) for name in "abc"})
    for order in (["a", "b", "c"], ["c", "a", "b"]):
        seen.clear()
        jan = wired(tmp_path, {"plugins": {"use": order}}, plugins=named)
        await jan.models.list()
        assert seen == order
    seen.clear()
    await wired(tmp_path, {"plugins": {"use": ["b"]}}, plugins=named).models.list()
    assert seen == ["b"]


@pytest.mark.anyio
async def test_one_module_reaches_another_through_its_plugins_internal_operations_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(proceed: Any, model: str) -> Any:
        raise ModelNotFound(f"{proceed.operation.name} says no")

    async with wired(tmp_path, plugins=plugins(monkeypatch, "wrap_models", no={"locate": nobody})) as jan:
        with pytest.raises(ModelNotFound, match="locate says no"):
            await jan.chat.create(ChatCompletionRequest.model_validate(chat_body("a")))


@pytest.mark.anyio
async def test_a_strangers_endpoint_is_served_and_wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def shout(proceed: Any, prefix: str) -> int:
        erased: int = await proceed(prefix.upper())
        return erased + 100

    modules = {**SCRIPTED, "notes-memory": part(monkeypatch, "notes-memory", provide_notes=lambda: NotesInMemory())}
    around = plugins(monkeypatch, "wrap_notes", shout={"erase": shout})
    async with wired(tmp_path, modules=modules, plugins=around, **NOTES) as jan:
        assert await jan.notes.erase("a") == 100


@pytest.mark.anyio
async def test_one_hook_wraps_every_endpoint_those_of_strangers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a plugin wraps of an endpoint by name is outside of what it wraps of every one."""
    seen: list[str] = []

    def wrapper(name: str) -> Any:
        async def around(proceed: Any, *arguments: Any) -> Any:
            seen.append(f"{name}:{proceed.operation.qualified}")
            return await proceed(*arguments)

        return around

    def wrap_every(settings: Any, jan: Any, endpoint: type[Endpoint]) -> dict[str, Any]:
        return {name: wrapper("every") for name in endpoint.operations()}

    value = part(monkeypatch, "all", wrap_every=wrap_every, wrap_notes=lambda settings, jan: {"*": wrapper("notes")})
    modules = {**SCRIPTED, "notes-memory": part(monkeypatch, "notes-memory", provide_notes=lambda: NotesInMemory())}
    async with wired(tmp_path, modules=modules, plugins={"all": value}, **NOTES) as jan:
        await jan.notes.erase("a")
        await jan.models.list()
    assert seen == ["notes:notes.erase", "every:notes.erase", "every:models.list"]


def test_a_plugin_that_wraps_an_unknown_operation_refuses_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def around(proceed: Any, *arguments: Any) -> Any: ...

    facts = refused(tmp_path, plugins=plugins(monkeypatch, "wrap_chat", audit={"craete": around}))
    assert facts["cause"] == "the endpoint chat has no operation 'craete'"
    assert "'create'" in facts["remedy"]


@pytest.mark.parametrize(
    ("use", "cause"),
    [
        ("a", "it must be a list of names"),
        ([1], "it must be a list of names"),
        (["a", "a"], "it names a plugin twice"),
        (["b"], "no plugin of that name is installed"),
    ],
)
def test_a_bad_list_of_plugins_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Any, cause: str
) -> None:
    facts = refused(tmp_path, {"plugins": {"use": use}}, plugins=plugins(monkeypatch, "wrap_chat", a={}))
    assert facts["cause"] == cause
    assert f"[plugins] use = {use!r} (test [plugins] use)" in facts["asked"]


def test_another_key_under_plugins_is_refused(tmp_path: Path) -> None:
    facts = refused(tmp_path, {"plugins": {"sue": ["a"]}})
    assert facts["cause"] == "plugins has no setting 'sue'"


def test_engines_without_models_are_refused(tmp_path: Path) -> None:
    (tmp_path / "jan.toml").write_text("[endpoints]\nmodels = []\n")
    with pytest.raises(Refusal, match="look up every model") as found:
        Jan(load(tmp_path))
    assert found.value.asked == f"[endpoints] models = [] ({tmp_path / 'jan.toml'}, line 2)"
    (tmp_path / "jan.toml").write_text(
        "[endpoints]\nmodels = []\nchat = []\ncompletions = []\nembeddings = []\nruns = []\n"
    )
    assert "models" not in Jan(load(tmp_path)).endpoints


@pytest.mark.parametrize(
    "missing",
    ["chat", "messages", "threads"],
)
def test_what_needs_an_endpoint_that_is_not_served_is_refused(tmp_path: Path, missing: str) -> None:
    (tmp_path / "jan.toml").write_text(f"[endpoints]\n{missing} = []\n")
    with pytest.raises(Refusal) as found:
        Jan(load(tmp_path))
    facts = found.value.facts()
    assert facts["asked"] == f"[endpoints] {missing} = [] ({tmp_path / 'jan.toml'}, line 2)"
    assert facts["cause"].startswith(f"runs cannot be served without {missing}")
    assert facts["remedy"] == f"Choose a module for {missing}, or write runs = [] as well."
    (tmp_path / "jan.toml").write_text(f"[endpoints]\n{missing} = []\nruns = []\n")
    assert "runs" not in Jan(load(tmp_path)).endpoints


def test_at_rest_nothing_is_needed(tmp_path: Path) -> None:
    (tmp_path / "jan.toml").write_text("[endpoints]\nchat = []\n")
    assert "runs" in Jan(load(tmp_path), at_rest=True).endpoints


def test_what_needs_an_endpoint_that_no_module_is_there_for_is_refused(tmp_path: Path) -> None:
    facts = refused(tmp_path, modules={"runs-memory": EVERYTHING["runs-memory"]})
    assert facts["asked"] == "[endpoints] runs = 'runs-memory' (test [endpoints] runs)"
    assert "cannot be served without threads" in facts["cause"]


def test_a_bad_server_setting_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "jan.toml").write_text("[server]\nprot = 5\n")
    facts = refused(tmp_path)
    assert facts["asked"] == f"[server] prot = 5 ({tmp_path / 'jan.toml'}, line 2)"
    assert "did you mean 'port'?" in facts["remedy"]


@pytest.mark.parametrize(
    ("made", "found"), [(5, "returned int"), (None, "does not implement it"), (ModelsInMemory(), "returned ModelsIn")]
)
def test_a_module_that_builds_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any, found: str
) -> None:
    modules = {"chat-odd": part(monkeypatch, "chat-odd", provide_chat=lambda: made)}
    facts = refused(tmp_path, modules=modules)
    assert f"the hook provide_chat of chat-odd must return a Chat, but it {found}" in facts["cause"]
    assert "chat-odd" in facts["answers"]


def test_checks_and_authentication_come_from_the_chosen_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jan_core.check import Check, Verdict

    check = Check("ink", lambda: Verdict(True, "full"))
    named = {
        "inky": part(monkeypatch, "inky", doctor_checks=lambda: [check], authenticates=lambda: "yes"),
        "keys": part(monkeypatch, "keys", authenticates=lambda: True),
    }
    jan = wired(tmp_path, plugins=named)
    assert jan.checks() == [check]
    assert jan.authenticated()
    less = wired(tmp_path, plugins={"inky": named["inky"]})
    assert not less.authenticated()  # only True counts
    assert wired(tmp_path).checks() == []


@pytest.mark.anyio
async def test_as_a_library(tmp_path: Path) -> None:
    names = ("assistants", "chat", "completions", "embeddings", "engines", "messages", "models", "runs", "threads")
    tables: dict[str, dict[str, Any]] = {
        "endpoints": {name: [] for name in names},
        "server": {"log_prompts": True},
    }
    async with open_jan(tmp_path, **tables) as jan:
        assert isinstance(jan, Jan)
        assert jan.root == tmp_path
        assert jan.server.log_prompts is True
        assert jan.endpoints == {}
    with pytest.raises(Refusal, match=r"argument server"):
        async with open_jan(str(tmp_path), **{**tables, "server": {"prot": 1}}):
            raise AssertionError


@pytest.mark.anyio
async def test_a_library_logs_no_requests_unless_told(tmp_path: Path) -> None:
    async with open_jan(tmp_path) as jan:
        assert not jan.server.log_requests
    async with open_jan(tmp_path, server={"log_requests": True}) as jan:
        assert jan.server.log_requests
