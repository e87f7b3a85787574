"""`completions-llamacpp`: completions by llama.cpp, on the backend `jan-llamacpp`.

Security boundaries: a model file comes from strangers; it is only ever opened in a worker process, never here. No field
of a request is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_completions_llamacpp.completions import CompletionsLlamaCpp
    from jan_core.app import Jan


@hookimpl
def provide_completions(settings: Any, jan: Jan) -> CompletionsLlamaCpp:
    """Build the module."""
    from jan_llamacpp import LlamaCpp

    from jan_completions_llamacpp.completions import CompletionsLlamaCpp

    return CompletionsLlamaCpp(jan, jan.backend(LlamaCpp))
