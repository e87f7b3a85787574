from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jan_core.backend import Engine
from jan_core.errors import ModelNotFound, NotSupported
from jan_core.testing.scripted import ScriptedChat
from jan_core.testing.wired import SCRIPTED, wired
from tests.parts import part


class Elsewhere(Engine):
    """An engine whose models are on other servers."""

    name: ClassVar[str] = "elsewhere"
    engine: ClassVar[str] = "elsewhere"
    models: ClassVar[list[str]] = ["far/away", "scripted"]

    async def offered(self) -> Sequence[str]:
        return self.models

    def loaded(self) -> list[Any]:
        return []

    async def load(self, location: Any, purpose: str = "") -> Any:
        raise NotSupported("no")

    async def unload(self, model: str, *, purpose: str | None = None, force: bool = False) -> list[Any]:
        return []

    def estimate(self, location: Any, purpose: str = "") -> Any:
        raise NotSupported("no")


@pytest.fixture
def jan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def provide_chat(settings: Any, jan: Any) -> ScriptedChat:
        jan.backends[Elsewhere] = Elsewhere(None, jan)
        return ScriptedChat(jan)

    chat = part(monkeypatch, "chat-seen", provide_chat=provide_chat)
    return wired(tmp_path, modules={"models-memory": SCRIPTED["models-memory"], "chat-seen": chat})


@pytest.mark.anyio
async def test_both_are_one_list_and_an_installed_one_comes_first(jan: Any) -> None:
    async with jan:
        listed = (await jan.models.list()).data
        assert [(one.id, one.owned_by == "elsewhere") for one in listed] == [("far/away", True), ("scripted", False)]
        assert (await jan.models.locate("scripted")).engine != "elsewhere"
        far = await jan.models.locate("far/away")
        assert (far.id, far.engine, far.path, far.size) == ("far/away", "elsewhere", "", 0)
        assert (await jan.models.retrieve("far/away")).owned_by == "elsewhere"
        assert (await jan.models.locate("scripted@elsewhere")).engine == "elsewhere"


@pytest.mark.anyio
async def test_what_is_gone_there_is_not_found(jan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with jan:
        await jan.models.locate("far/away")
        monkeypatch.setattr(Elsewhere, "models", [])
        with pytest.raises(ModelNotFound):
            await jan.models.locate("far/away")


@pytest.mark.anyio
async def test_it_is_deleted_there(jan: Any) -> None:
    async with jan:
        with pytest.raises(NotSupported, match="another server"):
            await jan.models.delete("far/away")
        with pytest.raises(ModelNotFound):
            await jan.models.delete("nowhere")
