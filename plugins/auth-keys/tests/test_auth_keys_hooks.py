from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import jan_auth_keys
import pluggy
from jan_auth_keys.settings import Settings

from jan_core import hookspecs
from jan_core.discovery import import_name


def test_hooks_are_known_and_installed(path: Path, make_key: Callable[..., str]) -> None:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_auth_keys)
    plugins.check_pending()
    (entry,) = entry_points(group="jan.plugins", name="auth-keys")
    assert entry.load() is jan_auth_keys
    assert plugins.hook.settings_model() is Settings
    (command,) = plugins.hook.register_commands().values()
    assert callable(import_name(command))


def test_the_import_is_light() -> None:
    code = "import sys, jan_auth_keys; jan_auth_keys.register_commands(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "asyncio", "starlette", "json", "typer", "tomlkit"} & set(run.stdout.split())
