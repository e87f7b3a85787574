"""`embeddings-llamacpp`: embeddings by llama.cpp, on the backend `jan-llamacpp`.

Security boundaries: a model file comes from strangers; it is only ever opened in a worker process, never here. No field
of a request is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_embeddings_llamacpp.embeddings import EmbeddingsLlamaCpp


@hookimpl
def provide_embeddings(settings: Any, jan: Jan) -> EmbeddingsLlamaCpp:
    """Build the module."""
    from jan_llamacpp import LlamaCpp

    from jan_embeddings_llamacpp.embeddings import EmbeddingsLlamaCpp

    return EmbeddingsLlamaCpp(jan, jan.backend(LlamaCpp))
