"""The order of `[plugins] use` is the order of wrapping, outermost first, in every kind of hook."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.inprocess import client
from jan_core.testing.wired import SCRIPTED, wired
from tests.notes import NoteEvent, NotesInMemory
from tests.parts import NOTES, part

NAMES = "abc"


class Passes:
    """What was passed, in order: `a>chat.create` on the way in, `a<chat.create` on the way out."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def plugin(self, monkeypatch: pytest.MonkeyPatch, name: str, *hooks: str) -> str:
        """A tiny plugin with these hooks."""
        made = {"wrap_every": self._every, "wrap_notes": self._notes, "asgi_wrapper": self._layer}
        return part(monkeypatch, name, **{hook: made[hook](name) for hook in hooks})

    def _wrapper(self, name: str) -> Any:
        async def around(proceed: Any, *arguments: Any) -> Any:
            what = proceed.operation.qualified
            self.seen.append(f"{name}>{what}")
            reply = await proceed(*arguments)
            if proceed.operation.stream:
                return events(reply, what)
            self.seen.append(f"{name}<{what}")
            return reply

        async def events(inner: Any, what: str) -> Any:
            async for event in inner:
                yield NoteEvent(event=f"{name}({event.event})", data=event.data)
            self.seen.append(f"{name}<{what}")

        return around

    def _every(self, name: str) -> Any:
        return lambda settings, jan, endpoint: {"*": self._wrapper(name)}

    def _notes(self, name: str) -> Any:
        return lambda settings, jan: {"*": self._wrapper(f"{name}.notes")}

    def _layer(self, name: str) -> Any:
        def around(app: Any) -> Any:
            async def layer(scope: Any, receive: Any, send: Any) -> None:
                self.seen.append(f"{name}>asgi")
                await app(scope, receive, send)
                self.seen.append(f"{name}<asgi")

            return layer

        return lambda settings, jan: around


def app(root: Path, monkeypatch: pytest.MonkeyPatch, order: list[str], plugins: dict[str, str]) -> Jan:
    """An app that serves notes, with the plugins installed in their order and chosen in `order`."""
    modules = {**SCRIPTED, "notes-memory": part(monkeypatch, "notes-memory", provide_notes=lambda: NotesInMemory())}
    tables = {"plugins": {"use": order}, "server": {"log_requests": False}}
    return wired(root, tables, modules=modules, plugins=plugins, **NOTES)


@pytest.mark.anyio
@pytest.mark.parametrize("order", [[*order] for order in permutations(NAMES)], ids="".join)
async def test_operations_streams_and_layers_of_the_app_are_wrapped_in_the_configs_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[str]
) -> None:
    passes = Passes()
    plugins = {name: passes.plugin(monkeypatch, name, "wrap_every", "asgi_wrapper") for name in NAMES}
    async with app(tmp_path, monkeypatch, order, plugins) as jan, client(jan) as http:
        await http.post("/notes", json={"text": "x"})
        plain, passes.seen = passes.seen, []
        told = await http.post("/notes", json={"text": "x", "stream": True})
        streamed, passes.seen = passes.seen, []
        await jan.notes.erase("x")
    back = order[::-1]

    def expected(what: str) -> list[str]:
        layers = [f"{name}>asgi" for name in order], [f"{name}<asgi" for name in back]
        operations = [*(f"{name}>{what}" for name in order), *(f"{name}<{what}" for name in back)]
        return [*layers[0], *operations, *layers[1]]

    assert plain == expected("notes.create")
    # The implementation's own call of `create` is no part of the API: nothing wraps it.
    assert streamed == expected("notes.create_stream")
    first, second, third = order
    assert f"event: {first}({second}({third}(note.made)))" in told.text
    assert passes.seen == [entry for entry in expected("notes.erase") if "asgi" not in entry]


@pytest.mark.anyio
@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]], ids="".join)
async def test_it_does_not_matter_by_which_hook_a_plugin_wraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: list[str]
) -> None:
    """One wraps notes by name and every endpoint, the other every endpoint: the config's order comes first."""
    passes = Passes()
    plugins = {
        "a": passes.plugin(monkeypatch, "a", "wrap_every", "wrap_notes"),
        "b": passes.plugin(monkeypatch, "b", "wrap_every"),
    }
    async with app(tmp_path, monkeypatch, order, plugins) as jan:
        await jan.notes.erase("x")
    inward = [entry for entry in passes.seen if ">" in entry]
    own = {"a": ["a.notes>notes.erase", "a>notes.erase"], "b": ["b>notes.erase"]}
    assert inward == [entry for name in order for entry in own[name]]


@pytest.mark.anyio
async def test_a_layer_of_the_app_is_outside_of_every_operation_whatever_the_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order in (["operations", "layer"], ["layer", "operations"]):
        passes = Passes()
        plugins = {
            "operations": passes.plugin(monkeypatch, "operations", "wrap_every"),
            "layer": passes.plugin(monkeypatch, "layer", "asgi_wrapper"),
        }
        async with app(tmp_path, monkeypatch, order, plugins) as jan, client(jan) as http:
            await http.get("/notes")
        assert passes.seen == ["layer>asgi", "operations>notes.list", "operations<notes.list", "layer<asgi"]


@pytest.mark.anyio
async def test_what_is_installed_and_not_chosen_wraps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Passes()
    plugins = {name: passes.plugin(monkeypatch, name, "wrap_every", "asgi_wrapper") for name in NAMES}
    async with app(tmp_path, monkeypatch, ["b"], plugins) as jan, client(jan) as http:
        await http.get("/notes")
    assert {entry[0] for entry in passes.seen} == {"b"}
