from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jan_assistants_postgresql
import pluggy
from jan_assistants_postgresql.store import AssistantsPostgresql
from jan_postgresql.testing import dsn_for

from jan_core import hookspecs
from jan_core.check import Check
from jan_core.testing.wired import one_module


def test_hooks_build(tmp_path: Path) -> None:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_assistants_postgresql)
    plugins.check_pending()
    jan = one_module(
        tmp_path, "assistants", "assistants-postgresql", tables={"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
    )
    assistants = plugins.hook.provide_assistants(settings=None, jan=jan)
    assert isinstance(assistants, AssistantsPostgresql)
    assert all(assistants.supports(name) for name in assistants.operations())
    assert plugins.hook.register_commands() == {"db": "jan_postgresql.command:app"}
    checks = plugins.hook.doctor_checks(settings=None, jan=jan)
    assert [type(check) for check in checks] == [Check]
    assert "assistants-postgresql" in checks[0].name


def test_the_import_is_light() -> None:
    code = "import sys, jan_assistants_postgresql as found; found.register_commands(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "anyio", "asyncio", "starlette", "psycopg", "typer"} & set(run.stdout.split())
