"""A backend: a library that several modules share, such as the loaded models of an engine or a pool of connections."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan
    from jan_core.schemas.engines import EngineModel, Estimate
    from jan_core.schemas.models import ModelLocation


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

    async def serving(self) -> None:
        """Called once when a server begins to serve the app, everything being entered; commands do not call it.

        A place to begin work ahead of the requests. It returns at once: the server waits for it.
        """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class Engine(Backend, ABC):
    """A backend that runs models. What it holds in memory is shown and changed at `/engines/…`."""

    engine: ClassVar[str]
    """The engine's name, as in `model.json` and in `model@engine`."""

    purposes: ClassVar[tuple[str, ...]] = ("",)
    """What a model may be loaded for, in the engine's own words; `""` is for what needs no load of its own."""

    def defaults(self, location: ModelLocation) -> Mapping[str, Any]:
        """What a model answers with where neither a request nor anything else sets it, by the names of requests.

        Args:
            location: the model.

        Returns:
            `temperature`, `top_p`, … as far as the engine tells.
        """
        return {}

    async def offered(self) -> Sequence[str]:
        """The ids of models that this engine runs without a file here: those of other servers.

        They are listed beside the installed ones, and found under their ids unless one of those has the same.
        """
        return ()

    @abstractmethod
    def loaded(self) -> list[EngineModel]:
        """The models in memory, and those on the way there."""

    @abstractmethod
    async def load(self, location: ModelLocation, purpose: str = "") -> EngineModel:
        """Load a model where it is not loaded, and return when it is.

        Args:
            location: the model.
            purpose: what for, where an engine loads a model anew for some things; its own word.

        Raises:
            InvalidRequest: it cannot be loaded, or needs more memory than there is for models.
            Unavailable: it did not load in time, or other models need the memory.
        """

    @abstractmethod
    async def unload(self, model: str, *, purpose: str | None = None, force: bool = False) -> list[EngineModel]:
        """Take a model out of memory.

        Args:
            model: its own id.
            purpose: only what was loaded for this; None is whatever for.
            force: also where it is in use: what it is answering ends with an error.

        Returns:
            What was unloaded; nothing where it was not loaded.

        Raises:
            Conflict: it is in use.
        """

    @abstractmethod
    def estimate(self, location: ModelLocation, purpose: str = "") -> Estimate:
        """What the model will need in memory, known without loading it.

        Raises:
            InvalidRequest: `model.json` has a bad setting.
        """

    def look_again(self) -> None:
        """A model was deleted. Let go of those whose files have gone: at once, or after their answers under way."""
