from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jan_runs_json
import pluggy
import pydantic
import pytest
from jan_runs_json.settings import Settings

from jan_core import hookspecs
from jan_core.check import Check
from jan_core.endpoints.runs import Runs


@pytest.fixture
def hook() -> pluggy.HookRelay:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_runs_json)
    plugins.check_pending()
    return plugins.hook


def test_hooks_build(hook: pluggy.HookRelay, tmp_path: Path) -> None:
    jan = SimpleNamespace(root=tmp_path)
    jan.backend = lambda kind: kind(kind.settings_model(), jan)
    settings = hook.settings_model()(expires_seconds=5)
    runs = hook.provide_runs(settings=settings, jan=jan)
    assert isinstance(runs, Runs)
    assert all(runs.supports(name) for name in runs.operations())
    checks = hook.doctor_checks(settings=settings, jan=jan)
    assert all(isinstance(check, Check) for check in checks)
    assert all(check.run().ok for check in checks)


def test_settings() -> None:
    assert Settings().expires_seconds == 600
    for wrong in ({"expires_seconds": 0}, {"expires_seconds": "5"}, {"expires": 5}):
        with pytest.raises(pydantic.ValidationError):
            Settings.model_validate(wrong)


def test_the_import_is_light() -> None:
    code = "import sys, jan_runs_json; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "anyio", "asyncio", "starlette", "json"} & set(run.stdout.split())
