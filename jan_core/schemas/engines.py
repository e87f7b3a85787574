"""The objects of `/engines/…`: the models that engines hold in memory."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jan_core.schemas.base import Reply, Request


class Estimate(Reply):
    """What a loaded model will need, known before it is loaded."""

    total: int
    """Bytes."""
    parts: dict[str, int]
    """What they are for: `weights`, `kv_cache`, … to bytes; together they are the total."""


class EngineModel(Reply):
    """A model that an engine holds, or is about to hold, in memory."""

    id: str
    """The model's own id, also where an alias was asked for."""
    object: Literal["engine.model"] = "engine.model"
    """Always `engine.model`."""
    engine: str
    """The engine that runs it."""
    purpose: str
    """What it was loaded for, in the engine's own words; empty for everything that needs no load of its own."""
    state: Literal["waiting", "loading", "loaded"]
    """`waiting` is for memory that others hold."""
    pid: int | None
    """The process it runs in, where that is one of its own."""
    memory: int | None
    """Bytes that this process holds now; null where the system does not tell."""
    estimated: int | None
    """Bytes that were set aside for it."""
    context: int
    """Tokens a request may have, prompt and answer together."""
    slots: int
    """Requests that it answers at once."""
    busy: int
    """Slots in use."""
    waiting: int
    """Requests in its queue."""
    pinned: bool
    """Whether it stays loaded whatever else needs memory."""
    idle_since: int | None
    """When it last answered, in Unix seconds; null while it is at work."""
    until: int | None
    """When it is unloaded unless somebody asks it, in Unix seconds; null where it stays, and while it is at work."""


class EngineModelList(Reply):
    """The models that engines hold in memory, in one page."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[EngineModel]
    """The models, the one that was asked last first."""


class EngineLoad(Request):
    """Which model to load."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    """The model's id, an alias, or `model@engine`."""
    purpose: Annotated[str, Field(max_length=64, pattern=r"^[a-z0-9_-]*$")] = ""
    """What to load it for, in the engine's own words; empty for what needs no load of its own."""


class EngineUnload(Request):
    """Which model to unload."""

    model: Annotated[str, Field(min_length=1, max_length=512)]
    """The model's id, or an alias. `model@engine` takes one engine's only."""
    purpose: Annotated[str | None, Field(max_length=64, pattern=r"^[a-z0-9_-]*$")] = None
    """Only what was loaded for this; null is whatever for."""
    force: bool = False
    """Also where it is in use: the requests that it is answering end with an error."""
