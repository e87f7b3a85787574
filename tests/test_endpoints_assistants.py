from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jan_core.app import Jan
from jan_core.hookspecs import hookimpl
from jan_core.testing.contract.assistants import AssistantsContract
from tests.conversations import app


class AroundEverything:
    """A plugin that goes on, whatever is asked."""

    @staticmethod
    @hookimpl
    def wrap_assistants(settings: Any, jan: Jan) -> Mapping[str, Any]:
        async def around(proceed: Any, *arguments: Any) -> Any:
            return await proceed(*arguments)

        return {"*": around}


class TestInMemory(AssistantsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "assistants-memory")


class TestWrapped(AssistantsContract):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "assistants-memory", plugins={"around": f"{__name__}:AroundEverything"})


class TestBesideOtherStores(AssistantsContract):
    """Threads and messages are kept in the folder, too."""

    def make(self, tmp_path: Path) -> Jan:
        return app("folder", tmp_path, server={"log_requests": False})
