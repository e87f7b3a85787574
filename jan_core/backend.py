"""A backend: a library that several modules share, such as the loaded models of an engine or a pool of connections."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan


class Backend:
    """One instance an app, built when a module first asks `jan.backend(<class>)`, entered and closed with the app.

    Args:
        settings: the backend's own table of `jan.toml`, checked against `settings_model`.
        jan: the app it belongs to.
    """

    name: ClassVar[str]
    """The distribution's name, and that of its table: `jan-llamacpp`."""
    settings_model: ClassVar[type[BaseModel]]

    def __init__(self, settings: Any, jan: Jan) -> None:
        self.settings = settings
        self.jan = jan

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None
