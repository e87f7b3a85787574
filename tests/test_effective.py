from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from jan_core.app import Jan
from jan_core.backend import Engine
from jan_core.effective import Setting, merged, settings_of
from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.assistants import AssistantRequest
from jan_core.schemas.models import ModelLocation
from jan_core.schemas.settings import SettingsLayer
from jan_core.schemas.threads import ThreadRequest, ThreadUpdate
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.wired import CONVERSATIONS, wired
from jan_core.validation import parse
from tests.parts import part

pytestmark = pytest.mark.anyio


class Known(ModelsInMemory):
    """Two models; `hot` has a temperature of its own."""

    def __init__(self) -> None:
        super().__init__({"hot": "red", "mild": "blue"})

    async def locate(self, model: str) -> ModelLocation:
        found = await super().locate(model)
        if model == "hot":
            found.parameters = {"temperature": 1.5, "top_k": 9, "stop": None}
        return found


class Nothing(BaseModel):
    """No settings."""


class Red(Engine):
    name: ClassVar[str] = "red"
    settings_model: ClassVar[type[BaseModel]] = Nothing
    engine: ClassVar[str] = "red"

    def defaults(self, location: ModelLocation) -> Mapping[str, Any]:
        return {"temperature": 0.8, "top_p": 0.95, "seed": None}

    def loaded(self) -> list[Any]:
        return []

    async def load(self, location: ModelLocation, purpose: str = "") -> Any:
        raise NotImplementedError

    async def unload(self, model: str, *, purpose: str | None = None, force: bool = False) -> list[Any]:
        return []

    def estimate(self, location: ModelLocation, purpose: str = "") -> Any:
        raise NotImplementedError


class Blue(Red):
    name: ClassVar[str] = "blue"
    engine: ClassVar[str] = "blue"
    defaults = Engine.defaults


@pytest.fixture
async def jan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Jan]:
    def build(settings: Any, jan: Jan) -> Known:
        jan.backend(Red)
        jan.backend(Blue)
        return Known()

    modules = {**CONVERSATIONS, "models-known": part(monkeypatch, "models-known", provide_models=build)}
    async with wired(tmp_path, modules=modules) as made:
        yield made


async def assistant(jan: Jan, **fields: Any) -> str:
    return str((await jan.assistants.create(parse(AssistantRequest, json.dumps(fields).encode()))).id)


async def thread(jan: Jan, **fields: Any) -> str:
    return str((await jan.threads.create(parse(ThreadRequest, json.dumps(fields).encode()))).id)


def values(found: Mapping[str, Setting]) -> dict[str, Any]:
    return {name: setting.value for name, setting in found.items()}


def test_the_first_layer_that_sets_a_field_counts_and_none_sets_nothing() -> None:
    layers = [
        SettingsLayer(origin="a", values={"x": None, "y": 0}),
        SettingsLayer(origin="b", values={"x": 1, "y": 2, "z": []}),
        SettingsLayer(origin="c", values={"z": [1]}),
    ]
    assert merged(layers) == {"y": Setting(0, "a"), "x": Setting(1, "b"), "z": Setting([], "b")}
    assert merged([]) == {}


async def test_every_place_goes_before_the_next_field_by_field(jan: Jan) -> None:
    who = await assistant(jan, model="hot", instructions="Be kind.", temperature=1.2, top_p=0.5, reasoning_effort="low")
    where = await thread(jan, parameters={"temperature": 1.1, "max_tokens": 7})
    stronger = [
        SettingsLayer(origin="request", values={"temperature": 0.1}),
        SettingsLayer(origin="run", values={"temperature": 0.2, "instructions": "Be quick."}),
    ]
    found = await settings_of(jan, thread_id=where, assistant_id=who, stronger=stronger)
    assert found == {
        "temperature": Setting(0.1, "request"),
        "instructions": Setting("Be quick.", "run"),
        "max_tokens": Setting(7, f"thread {where}"),
        "model": Setting("hot", f"assistant {who}"),
        "top_p": Setting(0.5, f"assistant {who}"),
        "reasoning_effort": Setting("low", f"assistant {who}"),
        "top_k": Setting(9, "model.json of hot"),
    }
    for _ in range(2):
        stronger.pop()
    found = await settings_of(jan, thread_id=where, assistant_id=who)
    assert found["temperature"] == Setting(1.1, f"thread {where}")
    await jan.threads.update(where, ThreadUpdate(parameters=None))
    found = await settings_of(jan, thread_id=where, assistant_id=who)
    assert found["temperature"] == Setting(1.2, f"assistant {who}")
    assert (await settings_of(jan))["temperature"] == Setting(1.5, "model.json of hot")


async def test_the_threads_model_decides_whose_defaults_hold(jan: Jan) -> None:
    who = await assistant(jan, model="hot")
    where = await thread(jan, model="mild", assistants=[{"assistant_id": who}])
    assert values(await settings_of(jan, thread_id=where)) == {"model": "mild"}
    other = await thread(jan, assistants=[{"assistant_id": who}])
    found = await settings_of(jan, thread_id=other)
    assert found["model"].value == "hot"
    assert found["top_p"] == Setting(0.95, "default of red")


async def test_the_first_of_a_threads_assistants_answers_with_the_model_named_there(jan: Jan) -> None:
    first = await assistant(jan, model="hot", instructions="first")
    second = await assistant(jan, model="hot", instructions="second")
    where = await thread(jan, assistants=[{"assistant_id": first, "model": "mild"}, {"assistant_id": second}])
    found = await settings_of(jan, thread_id=where)
    assert found["model"] == Setting("mild", f"assistants[0] of the thread {where}")
    assert found["instructions"].value == "first"
    found = await settings_of(jan, thread_id=where, assistant_id=second)
    assert (found["model"].value, found["instructions"].value) == ("hot", "second")


async def test_where_nothing_names_a_model_it_is_the_first_installed(jan: Jan) -> None:
    found = await settings_of(jan, thread_id=await thread(jan))
    assert found["model"] == Setting("hot", "the first installed model")
    for model in ("hot", "mild"):
        await jan.models.delete(model)
    assert await settings_of(jan) == {}


async def test_a_model_that_is_not_installed_sets_nothing(jan: Jan) -> None:
    for model in ("gone", "../etc"):
        assert values(await settings_of(jan, thread_id=await thread(jan, model=model))) == {"model": model}


async def test_a_thread_outlives_its_assistants_but_one_that_is_asked_for_must_be_there(jan: Jan) -> None:
    who = await assistant(jan, model="mild")
    where = await thread(jan, model="mild", assistants=[{"assistant_id": who}])
    await jan.assistants.delete(who)
    assert values(await settings_of(jan, thread_id=where)) == {"model": "mild"}
    with pytest.raises(NotFound):
        await settings_of(jan, thread_id=where, assistant_id=who)
    with pytest.raises(NotFound):
        await settings_of(jan, thread_id="jan-1-a")


async def test_what_is_not_served_sets_nothing(tmp_path: Path) -> None:
    threads = {"threads-memory": CONVERSATIONS["threads-memory"]}
    async with wired(tmp_path, modules=threads) as jan:
        where = await thread(jan, model="m", parameters={"temperature": 0})
        assert values(await settings_of(jan, thread_id=where)) == {"model": "m", "temperature": 0}


async def test_a_model_that_is_no_name_is_shown_and_asked_of_nobody(jan: Jan) -> None:
    wrong = SettingsLayer(origin="model.json", values={"model": 5})
    assert (await settings_of(jan, stronger=[wrong])) == {"model": Setting(5, "model.json")}


async def test_a_damaged_default_assistant_costs_only_itself(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    async def damaged(assistant_id: str) -> list[SettingsLayer]:
        raise InvalidRequest("assistant.json, line 1: the file is empty", code="damaged_file")

    monkeypatch.setattr(jan.assistants, "layers", damaged)
    silent = await thread(jan, parameters={"temperature": 0.5})
    assert (await settings_of(jan, thread_id=silent))["temperature"].value == 0.5
    assert (await settings_of(jan))["model"].value == "hot"
    named = await thread(jan, assistants=[{"assistant_id": "jan"}])
    for asked in (settings_of(jan, thread_id=named), settings_of(jan, assistant_id="jan")):
        with pytest.raises(InvalidRequest):
            await asked


async def test_a_thread_may_name_what_is_no_assistant(jan: Jan, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(assistant_id: str) -> list[SettingsLayer]:
        raise InvalidRequest("that cannot be a name", code="invalid_id")

    monkeypatch.setattr(jan.assistants, "layers", refused)
    named = await thread(jan, assistants=[{"assistant_id": "jan"}], model="mild")
    assert (await settings_of(jan, thread_id=named))["model"].value == "mild"
    with pytest.raises(InvalidRequest):
        await settings_of(jan, assistant_id="../x")
