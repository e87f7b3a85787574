"""The endpoint `embeddings` on other servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoints.embeddings import Embeddings

if TYPE_CHECKING:
    from jan_upstreams import Upstreams

    from jan_core.app import Jan
    from jan_core.schemas.embeddings import EmbeddingList, EmbeddingRequest


class EmbeddingsOpenAI(Embeddings):
    """Vectors of texts by other servers.

    Args:
        jan: gives `models`, which knows whose a model is.
        engine: the servers.
        passes_on: whether fields that the API does not know go to them.
    """

    engine: ClassVar[str | None] = "openai"

    def __init__(self, jan: Jan, engine: Upstreams, *, passes_on: bool = False) -> None:
        self._jan = jan
        self._engine = engine
        self.takes_unknown_fields = passes_on

    async def ready(self) -> None:
        """One of the servers may be asked."""
        await self._engine.reachable()

    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        """See `Embeddings`."""
        from jan_embeddings_openai.vectors import Vectors

        model = (await self._jan.models.locate(body.model)).id
        return await Vectors(self._engine, model, body).made()
