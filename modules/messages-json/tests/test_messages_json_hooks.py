from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jan_messages_json
import pluggy
import pydantic
import pytest
from jan_messages_json.settings import Settings
from jan_messages_json.store import MessagesJson

from jan_core import hookspecs
from jan_core.check import Check


@pytest.fixture
def hook() -> pluggy.HookRelay:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_messages_json)
    plugins.check_pending()
    return plugins.hook


@pytest.mark.parametrize("append", ["in-place", "rewrite"])
def test_hooks_build(hook: pluggy.HookRelay, tmp_path: Path, append: str) -> None:
    jan = SimpleNamespace(root=tmp_path)
    settings = hook.settings_model()(append=append)
    messages = hook.provide_messages(settings=settings, jan=jan)
    assert isinstance(messages, MessagesJson)
    assert all(messages.supports(name) for name in messages.operations())
    assert messages._lists.rewrite == (append == "rewrite")
    checks = hook.doctor_checks(settings=settings, jan=jan)
    assert all(isinstance(check, Check) for check in checks)
    assert all(check.run().ok for check in checks)


def test_settings() -> None:
    assert Settings().append == "in-place"
    for wrong in ({"append": "inplace"}, {"append": True}, {"appendd": "rewrite"}):
        with pytest.raises(pydantic.ValidationError):
            Settings.model_validate(wrong)


def test_the_import_is_light() -> None:
    code = "import sys, jan_messages_json; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "anyio", "asyncio", "starlette", "json"} & set(run.stdout.split())
