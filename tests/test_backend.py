from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from jan_core.backend import Backend
from jan_core.refusal import Refusal
from jan_core.testing.memory import ModelsInMemory
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import wired
from tests.parts import part

TOLD: list[str] = []
MADE: dict[str, Any] = {}
"""The modules' own objects: the app's are wrapped and routed."""


class PoolSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int = 1


class Pool(Backend):
    name: ClassVar[str] = "jan-pool"
    settings_model: ClassVar[type[BaseModel]] = PoolSettings

    async def __aenter__(self) -> Pool:
        TOLD.append(f"enter {self.name}")
        return self

    async def __aexit__(self, *error: Any) -> None:
        TOLD.append(f"leave {self.name}")


class Disk(Pool):
    name: ClassVar[str] = "jan-disk"


class PooledModels(ModelsInMemory):
    async def __aenter__(self) -> PooledModels:
        TOLD.append("enter models")
        return self

    async def __aexit__(self, *error: Any) -> None:
        TOLD.append("leave models")


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    TOLD.clear()

    def models(jan: Any) -> Any:
        made: Any = PooledModels()
        MADE["models"] = made
        made.pool = jan.backend(Pool)
        return made

    def chat(jan: Any) -> Any:
        made: Any = ScriptedChat(jan)
        MADE["chat"] = made
        made.disk, made.pool = jan.backend(Disk), jan.backend(Pool)
        return made

    return {
        "models-p": part(monkeypatch, "models-p", provide_models=models),
        "chat-p": part(monkeypatch, "chat-p", provide_chat=chat),
    }


def backends(tmp_path: Path, modules: dict[str, str], **tables: Any) -> Any:
    from jan_core.testing import wired as wiring

    found = {**wiring.entry_points(modules)}
    found["backends"] = [wiring.EntryPoint(kind.name, f"{__name__}:{kind.__name__}", "") for kind in (Pool, Disk)]
    config = wiring.load(tmp_path, environ={})
    for table, values in {"endpoints": {"models": "models-p", "chat": "chat-p"}, **tables}.items():
        config.tables[table] = {key: wiring.Value(value, "test") for key, value in values.items()}
    return wiring.Jan(config, wiring.Discovery(config, found))


@pytest.mark.anyio
async def test_modules_share_one_instance_entered_before_them_and_left_after(
    tmp_path: Path, modules: dict[str, str]
) -> None:
    jan = wired(tmp_path, modules=modules)
    models, chat = MADE["models"], MADE["chat"]
    assert models.pool is chat.pool is jan.backend(Pool)
    assert chat.disk is not models.pool
    assert isinstance(chat.disk, Disk)
    assert models.pool.jan is jan
    assert TOLD == []
    async with jan:
        assert TOLD == ["enter jan-pool", "enter jan-disk", "enter models"]
    assert TOLD[3:] == ["leave models", "leave jan-disk", "leave jan-pool"]


@pytest.mark.anyio
async def test_two_apps_in_one_process_share_nothing(tmp_path: Path, modules: dict[str, str]) -> None:
    first, second = wired(tmp_path, modules=modules), wired(tmp_path, modules=modules)
    assert first.backend(Pool) is not second.backend(Pool)
    assert first.models is not second.models
    assert first.under_way is not second.under_way
    async with first, second:
        await first.models.delete("scripted")
        assert (await second.models.list()).data


def test_a_backend_gets_its_own_table_and_a_bad_one_refuses_the_start(tmp_path: Path, modules: dict[str, str]) -> None:
    assert backends(tmp_path, modules).backend(Pool).settings.size == 1
    jan = backends(tmp_path, modules, **{"jan-pool": {"size": 7}})
    assert (jan.backend(Pool).settings.size, jan.backend(Disk).settings.size) == (7, 1)
    with pytest.raises(Refusal) as caught:
        backends(tmp_path, modules, **{"jan-pool": {"siez": 7}})
    assert caught.value.asked == "[jan-pool] siez = 7 (test)"
    assert "did you mean 'size'?" in caught.value.remedy


@pytest.mark.anyio
async def test_a_backend_asked_for_too_late_is_said_so_instead_of_never_being_entered(
    tmp_path: Path, modules: dict[str, str]
) -> None:
    class Late(Pool):
        name: ClassVar[str] = "jan-late"

    async with wired(tmp_path, modules=modules) as jan:
        assert jan.backend(Pool) is MADE["models"].pool
        with pytest.raises(RuntimeError, match=r"jan-late.*while the app is built"):
            jan.backend(Late)
    assert "enter jan-late" not in TOLD
