"""What the tests share: an engine whose workers are tiny real processes, and models that it takes for real."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from jan_workers import WorkerEngine, Workers
from jan_workers.loaded import LoadedModel
from jan_workers.process import WorkerProcess
from jan_workers.settings import WorkersSettings
from pydantic import BaseModel

from jan_core.engines import RunningEngines
from jan_core.errors import ModelNotFound
from jan_core.schemas.engines import Estimate
from jan_core.schemas.models import Model, ModelList, ModelLocation


class Echo(WorkerEngine):
    """An engine for `echo_worker.py`. A model's `settings` are what its worker is given."""

    name: ClassVar[str] = "jan-echo"
    settings_model: ClassVar[type[BaseModel]] = BaseModel
    engine: ClassVar[str] = "echo"
    purposes: ClassVar[tuple[str, ...]] = ("", "embeddings")
    worker: ClassVar[str] = "echo_worker"
    journal = Path()

    def parameters(self, location: ModelLocation, purpose: str = "") -> dict[str, Any]:
        given = {"path": location.path, "context": 100, "slots": 2, "journal": str(self.journal), "purpose": purpose}
        return {**given, **location.settings}

    def estimate(self, location: ModelLocation, purpose: str = "") -> Estimate:
        size = location.settings.get("needs_mib", 100) << 20
        return Estimate(total=size, parts={"weights": size})

    @property
    def check_seconds(self) -> float:
        return 5 if self.journal.name != "hasty" else 0.2

    def loads(self) -> list[str]:
        """The names of the models' files, as often as workers have loaded them."""
        return [Path(line).name for line in self.journal.read_text().split()] if self.journal.exists() else []


class App:
    """What an engine and the backend ask of the app."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.known: dict[str, ModelLocation] = {}
        self.backends: dict[type, Any] = {}
        self.models = self
        self.engines = RunningEngines(self)  # type: ignore[arg-type]
        self.workers = Workers(WorkersSettings(**{"load_seconds": 30, "queue": 500, **settings}), self)

    def backend(self, kind: type[Workers]) -> Workers:
        return self.workers

    async def list(self) -> ModelList:
        return ModelList(data=[Model(id=name, created=0, owned_by="x") for name in self.known])

    async def locate(self, model: str) -> ModelLocation:
        if model not in self.known:
            raise ModelNotFound(f"no {model}", param="model")
        return self.known[model]


class Bench:
    """An engine, its models, and what tests do with them."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.app = App(settings)
        self.workers = self.app.workers
        self.echo = Echo(None, self.app)  # type: ignore[arg-type]
        self.echo.journal = folder / "journal"
        self.app.backends[Echo] = self.echo

    def location(self, name: str = "m", revision: str = "1", **settings: Any) -> ModelLocation:
        """A model of this name; `settings` go to its worker."""
        path = self.folder / name
        path.touch()
        made = ModelLocation(id=name, path=str(path), size=1 << 20, revision=revision, settings=settings)
        self.app.known[name] = made
        return made

    def process(self, location: ModelLocation) -> WorkerProcess:
        """A worker process for a model, not yet started."""
        return WorkerProcess(self.echo.worker, location.id, location.path, self.echo.explain)

    async def say(self, location: ModelLocation, *said: Any, slots: int = 1, **body: Any) -> list[Any]:
        """Have a model say something; returns what it said."""
        pieces = self.echo.generate(location, "say", {"say": said or ["hi"], **body}, slots=slots)
        return [piece["said"] async for piece in pieces]

    async def begin(self, location: ModelLocation, slots: int = 1) -> Any:
        """Begin an answer without end; returns its pieces, the first one taken. Close them."""
        pieces: Any = self.echo.generate(location, "say", {"say": ["on"], "endless": True}, slots=slots)
        await anext(pieces)
        return pieces

    def loaded(self) -> list[str]:
        """The names of the models that are loaded."""
        return sorted(one.id for one in self.echo.loaded() if one.state == "loaded")

    def model(self, location: ModelLocation) -> LoadedModel:
        """The model's object."""
        return self.echo.model(location)

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Wait until something is so; fails after 20 seconds."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Bench]:
    """`bench(memory_mib=300)`: an engine with these settings; use it as `async with bench().workers`."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    return lambda **settings: Bench(tmp_path, settings)
