"""`/v1/embeddings`: a model turns texts into vectors, near to each other where the texts mean something similar.

Source of the shapes: OpenAI's API reference, resource "Embeddings".
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, operation

if TYPE_CHECKING:
    from jan_core.schemas.embeddings import EmbeddingList, EmbeddingRequest


class Embeddings(Endpoint):
    """Embeddings of text.

    Vectors have the length 1, so that their inner product is the cosine of the angle between them. Texts are never
    cut: one that does not fit is refused, naming it.
    """

    name: ClassVar[str] = "embeddings"
    schemas: ClassVar[str] = "jan_core.schemas.embeddings"
    several: ClassVar[bool] = True

    @operation("POST /v1/embeddings")
    @abstractmethod
    async def create(self, body: EmbeddingRequest) -> EmbeddingList:
        """Turn each text into a vector; the reply has them in the texts' order.

        Raises:
            ModelNotFound: no installed model has the id `body.model`.
            InvalidRequest: `body.dimensions` is more than the model's vectors have, or a token's number is not in the
                model's vocabulary.
            ContextLengthExceeded: a text does not fit; `param` is `input`, or `input[i]` where there are several.
            NotSupported: the model makes no vectors of texts.
            Busy: too many requests wait for this model already; carries `Retry-After`.
            EngineError: the engine failed; the next request may succeed.
        """
