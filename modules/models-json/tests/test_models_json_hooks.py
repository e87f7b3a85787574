from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jan_models_json
import pluggy
import pydantic
import pytest
from jan_models_json.settings import Settings
from jan_models_json.store import ModelsJson

from jan_core import hookspecs
from jan_core.check import Check


@pytest.fixture
def hook() -> pluggy.HookRelay:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_models_json)
    plugins.check_pending()
    return plugins.hook


def test_hooks_build(hook: pluggy.HookRelay, tmp_path: Path) -> None:
    jan = SimpleNamespace(root=tmp_path)
    settings = hook.settings_model()()
    models = hook.provide_models(settings=settings, jan=jan)
    assert isinstance(models, ModelsJson)
    assert all(models.supports(name) for name in models.operations())
    checks = hook.doctor_checks(settings=settings, jan=jan)
    assert all(isinstance(check, Check) for check in checks)
    assert str(tmp_path / "models") in checks[0].run().why


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().models_folder(tmp_path) == tmp_path / "models"
    assert Settings(folder="other/place").models_folder(tmp_path) == tmp_path / "other/place"
    assert Settings(folder=str(tmp_path / "x")).models_folder(Path("/root")) == tmp_path / "x"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Settings(folder="~/gguf").models_folder(Path("/root")) == tmp_path / "gguf"
    for wrong in ({"folder": 5}, {"foldr": "x"}):
        with pytest.raises(pydantic.ValidationError):
            Settings.model_validate(wrong)


def test_the_import_is_light() -> None:
    code = "import sys, jan_models_json; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "anyio", "asyncio", "starlette", "json"} & set(run.stdout.split())
