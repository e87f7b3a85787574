"""`chat-llamacpp`: chat completions by llama.cpp, on the backend `jan-llamacpp`.

Security boundaries: a model file and the chat template in it come from strangers; they are only ever opened in a
worker process, never here. No field of a request is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_chat_llamacpp.chat import ChatLlamaCpp
    from jan_core.app import Jan
    from jan_core.check import Check


@hookimpl
def provide_chat(settings: Any, jan: Jan) -> ChatLlamaCpp:
    """Build the module."""
    from jan_llamacpp import LlamaCpp

    from jan_chat_llamacpp.chat import ChatLlamaCpp

    return ChatLlamaCpp(jan, jan.backend(LlamaCpp))


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Whether the engine's library loads on this machine, and whether a worker starts."""
    from jan_llamacpp.doctor import checks

    return checks()
