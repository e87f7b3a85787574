"""The objects of `/v1/models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from jan_core.schemas.base import Reply, optional


class Model(Reply):
    """A model that requests can name."""

    id: str
    """The name that requests give as `model`."""
    object: Literal["model"] = "model"
    """Always `model`."""
    created: int
    """When the model was made known here, in Unix seconds."""
    owned_by: str
    """Who made or installed the model."""
    shutdown_date: str | None = optional()
    """The day (ISO 8601) on which the model stops answering; local models have none."""


class ModelList(Reply):
    """All models, in one page."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Model]
    """The models, ordered by id."""


class ModelDeleted(Reply):
    """The answer to a deletion."""

    id: str
    """The id that was deleted."""
    object: Literal["model"] = "model"
    """Always `model`."""
    deleted: bool
    """True: the model is gone."""


class ModelLocation(Reply):
    """Where a model's files are and what is known of it: what an engine needs to load it. Never sent to a client."""

    id: str
    """The model's own id, also where an alias or `model@engine` was asked for."""
    engine: str | None = None
    """What `model@engine` picks, `model.json` names, or the file's format calls for; None where nothing does."""
    path: str
    """The absolute path of the file with the weights."""
    mmproj: str | None = None
    """The absolute path of the projector for images, where the model has one."""
    size: int
    """Bytes of the file at `path`."""
    revision: str
    """Changes whenever the file or `model.json` does: an engine that loaded another revision is out of date."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """`model.json`'s `settings`: `ctx_len`, `ngl`, `n_parallel`, `embedding`, `chat_template`, …"""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """`model.json`'s `parameters`: the values a request takes where it gives none."""
    metadata: dict[str, Any] = Field(default_factory=dict)
    """What the file's header tells: `architecture`, `context_length`, `quantization`, `chat_template`, …"""
