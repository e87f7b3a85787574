from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jan_core.app import Jan
from jan_core.hookspecs import hookimpl
from jan_core.testing.contract.runs import RunsContract


class AroundEverything:
    """A plugin that goes on, whatever is asked."""

    @staticmethod
    @hookimpl
    def wrap_runs(settings: Any, jan: Jan) -> Mapping[str, Any]:
        async def around(proceed: Any, *arguments: Any) -> Any:
            return await proceed(*arguments)

        return {"*": around}


class TestInMemory(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "runs-memory")


class TestWrapped(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "runs-memory", plugins={"around": f"{__name__}:AroundEverything"})
