"""`chat-ctransformers`: chat completions by ctransformers, on the backend `jan-ctransformers`.

Security boundaries: a model file and the chat template in it come from strangers; they are only ever opened in a
worker process, never here. No field of a request is executed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_chat_ctransformers.chat import ChatCTransformers
    from jan_core.app import Jan
    from jan_core.check import Check


@hookimpl
def provide_chat(settings: Any, jan: Jan) -> ChatCTransformers:
    """Build the module."""
    from jan_ctransformers import CTransformers

    from jan_chat_ctransformers.chat import ChatCTransformers

    return ChatCTransformers(jan, jan.backend(CTransformers))


@hookimpl
def doctor_checks(settings: Any, jan: Jan) -> list[Check]:
    """Whether the engine's library has a binary for this machine, and loads."""
    from jan_ctransformers.doctor import checks

    return checks()
