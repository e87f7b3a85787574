"""Four plugins that go around every operation of chat and models and only pass on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jan_core.hookspecs import Wrapper, hookimpl


class Noop:
    """A plugin as an object; an instance is what a package's module would be."""

    @hookimpl
    def wrap_chat(self, settings: Any, jan: Any) -> Mapping[str, Wrapper]:
        return self._wrappers()

    @hookimpl
    def wrap_models(self, settings: Any, jan: Any) -> Mapping[str, Wrapper]:
        return self._wrappers()

    @staticmethod
    def _wrappers() -> Mapping[str, Wrapper]:
        async def through(proceed: Any, *arguments: Any, **named: Any) -> Any:
            return await proceed(*arguments, **named)

        return {"*": through}


PLUGIN_1, PLUGIN_2, PLUGIN_3, PLUGIN_4 = Noop(), Noop(), Noop(), Noop()
