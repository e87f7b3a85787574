from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jan_threads_json
import pluggy
from jan_threads_json.store import ThreadsJson

from jan_core import hookspecs
from jan_core.check import Check


def test_hooks_build(tmp_path: Path) -> None:
    plugins = pluggy.PluginManager("jan")
    plugins.add_hookspecs(hookspecs)
    plugins.register(jan_threads_json)
    plugins.check_pending()
    jan = SimpleNamespace(root=tmp_path, endpoints={})
    threads = plugins.hook.provide_threads(settings=None, jan=jan)
    assert isinstance(threads, ThreadsJson)
    assert all(threads.supports(name) for name in threads.operations())
    found = plugins.hook.doctor_checks(settings=None, jan=jan)
    assert all(isinstance(check, Check) and check.run().ok for check in found)


def test_the_import_is_light() -> None:
    code = "import sys, jan_threads_json; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "anyio", "asyncio", "starlette", "json"} & set(run.stdout.split())
