from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

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
    assert type(jan.messages).__name__ == "MessagesJson"


def test_pytest_finds_them_by_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not hasattr(installed, "TestMessages")
    monkeypatch.setenv(installed.VARIABLE, json.dumps(TOLD))
    try:
        assert issubclass(importlib.reload(installed).TestMessages, MessagesContract)
    finally:
        monkeypatch.delenv(installed.VARIABLE)
        vars(importlib.reload(installed)).pop("TestMessages", None)
