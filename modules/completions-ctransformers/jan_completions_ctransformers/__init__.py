"""`completions-ctransformers`: completions of text by ctransformers, on the backend `jan-ctransformers`.

Security boundaries: a model file comes from a stranger; it is only ever opened in a
worker process, never here. No field of a request is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_completions_ctransformers.completions import CompletionsCTransformers
    from jan_core.app import Jan


@hookimpl
def provide_completions(settings: Any, jan: Jan) -> CompletionsCTransformers:
    """Build the module."""
    from jan_ctransformers import CTransformers

    from jan_completions_ctransformers.completions import CompletionsCTransformers

    return CompletionsCTransformers(jan, jan.backend(CTransformers))
