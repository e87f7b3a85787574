from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path

import pytest

from jan_core.schemas.models import ModelLocation
from jan_core.testing import installed
from jan_core.testing.contract.messages import MessagesContract

TOLD = {
    "module": "messages-json",
    "settings": {"append": "rewrite"},
    "contracts": {"messages": "jan_core.testing.contract.messages:MessagesContract"},
}


def test_a_class_for_each_contract(tmp_path: Path) -> None:
    (name, made), *others = installed.classes(TOLD).items()
    assert others == []
    assert name == "TestMessages"
    assert issubclass(made, MessagesContract)
    jan = made().make(tmp_path)
    assert jan.config.get("messages-json", "append").value == "rewrite"
    assert [chosen.name for chosen, _ in jan.modules if chosen.name.startswith("messages")] == ["messages-json"]


def test_pytest_finds_them_by_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not hasattr(installed, "TestMessages")
    monkeypatch.setenv(installed.VARIABLE, json.dumps(TOLD))
    try:
        assert issubclass(importlib.reload(installed).TestMessages, MessagesContract)
    finally:
        monkeypatch.delenv(installed.VARIABLE)
        vars(importlib.reload(installed)).pop("TestMessages", None)


def test_a_model_and_tables_are_handed_on_and_the_app_lasts(tmp_path: Path) -> None:
    model = {"id": "small", "engine": "scripted", "path": "/somewhere/small.bin", "size": 3, "revision": "7"}
    contracts = {"chat": "jan_core.testing.contract.chat:ChatContract"}
    told = {"module": "chat-scripted", "settings": {}, "contracts": contracts, "model": model}
    (made,) = installed.classes({**told, "tables": {"jan-llamacpp": {"threads": 1}}}).values()
    assert made.lasting is True  # type: ignore[attr-defined]
    jan = made().make(tmp_path)
    assert jan.config.get("jan-llamacpp", "threads").value == 1

    async def models() -> tuple[list[str], ModelLocation]:
        return [one.id for one in (await jan.models.list()).data], await jan.models.locate("small")

    ids, found = asyncio.run(models())
    assert ids == ["small"]
    assert found == ModelLocation.model_validate(model)
    other = asyncio.run(jan.models.locate("small"))
    other.settings["changed"] = True
    assert asyncio.run(jan.models.locate("small")).settings == {}
