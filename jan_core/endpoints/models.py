"""`/v1/models`: what can answer here.

Source of the shapes: OpenAI's API reference, resource "Models".
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.models import Model, ModelDeleted, ModelList, ModelLocation


class Models(Endpoint):
    """The installed models.

    An id may contain `/` and `:` (an owner's name, a quantization). Whatever the store holds is listed or is
    reported; one damaged model hides no other.

    The kernel puts the aliases of `jan.toml` around every implementation: `list` has them as models of their own,
    `retrieve` and `locate` take them, and `model@engine`, like ids. An implementation sees ids of models only, and
    among them names that are none: the kernel asks for the exact name first.
    """

    name: ClassVar[str] = "models"
    schemas: ClassVar[str] = "jan_core.schemas.models"

    @operation("GET /v1/models")
    @abstractmethod
    async def list(self) -> ModelList:
        """List every model, ordered by id, as the store is now: a change by hand is in the next reply."""

    @operation("GET /v1/models/{model:path}")
    @abstractmethod
    async def retrieve(self, model: str) -> Model:
        """Return one model.

        Raises:
            ModelNotFound: there is none of this id. The message names near misses.
            InvalidRequest: the id cannot be one, or the model is damaged; the message names the file.
        """

    @operation("DELETE /v1/models/{model:path}", optional=True)
    async def delete(self, model: str) -> ModelDeleted:
        """Remove a model from the store. A file elsewhere that the store only links to is left alone.

        Raises:
            ModelNotFound: there is none of this id.
            NotSupported: this store cannot delete.
        """
        raise NotSupported("The chosen models module does not delete models.")

    @internal
    @abstractmethod
    async def locate(self, model: str) -> ModelLocation:
        """Say where a model's files are, and what is known of it, for an engine that is about to load it.

        Raises:
            ModelNotFound: there is none of this id.
            InvalidRequest: the model is damaged; the message names the file.
        """
