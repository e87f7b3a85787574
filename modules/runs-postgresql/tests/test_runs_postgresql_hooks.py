from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jan_runs_postgresql
import pluggy
from jan_postgresql.testing import dsn_for
from jan_runs.runs import StoredRuns
from jan_runs_postgresql.settings import Settings

from jan_core import hookspecs
from jan_core.check import Check
from jan_core.testing.wired import one_module


def test_hooks_build(tmp_path: Path) -> None:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_runs_postgresql)
    plugins.check_pending()
    assert plugins.hook.settings_model() is Settings
    tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
    jan = one_module(tmp_path, "runs", "runs-postgresql", tables=tables)
    runs = plugins.hook.provide_runs(settings=Settings(), jan=jan)
    assert isinstance(runs, StoredRuns)
    assert all(runs.supports(name) for name in runs.operations())
    commands = {"assistants": "jan_code.commands:app", "db": "jan_postgresql.command:app"}
    assert plugins.hook.register_commands() == commands
    checks = plugins.hook.doctor_checks(settings=None, jan=jan)
    assert all(isinstance(check, Check) for check in checks)
    assert "runs-postgresql" in checks[0].name


def test_the_import_is_light() -> None:
    code = "import sys, jan_runs_postgresql as found; found.register_commands(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "anyio", "asyncio", "starlette", "psycopg", "typer"} & set(run.stdout.split())
