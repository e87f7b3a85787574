"""What `Completions` promises, of the scripted engine; the real ones prove it in their modules."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from jan_core.app import Jan
from jan_core.hookspecs import hookimpl
from tests.scripted_contracts import CompletionsByScript


class AroundEverything:
    """A plugin that goes on, whatever is asked."""

    @staticmethod
    @hookimpl
    def wrap_completions(settings: Any, jan: Jan) -> Mapping[str, Any]:
        async def around(proceed: Any, *arguments: Any) -> Any:
            return await proceed(*arguments)

        async def around_events(proceed: Any, *arguments: Any) -> AsyncIterator[Any]:
            events = await proceed(*arguments)

            async def each() -> AsyncIterator[Any]:
                async for event in events:
                    yield event

            return each()

        return {"*": around, "create_stream": around_events}


class TestScripted(CompletionsByScript):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "completions-scripted")


class TestWrapped(CompletionsByScript):
    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "completions-scripted", plugins={"around": f"{__name__}:AroundEverything"})
