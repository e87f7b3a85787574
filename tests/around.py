"""A plugin around every operation that goes on, whatever is asked: what is wrapped by it keeps its contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from jan_core.app import Jan
from jan_core.endpoint import Endpoint
from jan_core.hookspecs import hookimpl

AROUND = {"around": "tests.around"}
"""Its entry point."""


@hookimpl
def wrap_every(settings: Any, jan: Jan, endpoint: type[Endpoint]) -> Mapping[str, Any]:
    async def around(proceed: Any, *arguments: Any) -> Any:
        reply = await proceed(*arguments)
        return _each(reply) if proceed.operation.stream else reply

    return {"*": around}


async def _each(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for event in events:
        yield event
