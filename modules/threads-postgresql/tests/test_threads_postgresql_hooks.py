from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jan_threads_postgresql
import pluggy
from jan_postgresql.testing import dsn_for
from jan_threads_postgresql.store import ThreadsPostgresql

from jan_core import hookspecs
from jan_core.check import Check
from jan_core.testing.wired import one_module


def test_hooks_build(tmp_path: Path) -> None:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_threads_postgresql)
    plugins.check_pending()
    tables = {"jan-postgresql": {"dsn": dsn_for(tmp_path)}}
    jan = one_module(tmp_path, "threads", "threads-postgresql", tables=tables)
    threads = plugins.hook.provide_threads(settings=None, jan=jan)
    assert isinstance(threads, ThreadsPostgresql)
    assert all(threads.supports(name) for name in threads.operations())
    assert plugins.hook.register_commands() == {"db": "jan_postgresql.command:app"}
    checks = plugins.hook.doctor_checks(settings=None, jan=jan)
    assert [type(check) for check in checks] == [Check]
    assert "threads-postgresql" in checks[0].name


def test_the_import_is_light() -> None:
    code = "import sys, jan_threads_postgresql as found; found.register_commands(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "anyio", "asyncio", "starlette", "psycopg", "typer"} & set(run.stdout.split())
