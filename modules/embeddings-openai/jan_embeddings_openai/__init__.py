"""`embeddings-openai`: embeddings by other servers that speak OpenAI's API, on the backend `jan-upstreams`.

Security boundaries: see `jan_upstreams`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jan_upstreams.settings import ModuleSettings

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_embeddings_openai.embeddings import EmbeddingsOpenAI


@hookimpl
def settings_model() -> type[ModuleSettings]:
    """The module's own table: further upstreams, and what they are sent."""
    return ModuleSettings


@hookimpl
def provide_embeddings(settings: ModuleSettings, jan: Jan) -> EmbeddingsOpenAI:
    """Build the module."""
    from jan_upstreams import Upstreams

    from jan_embeddings_openai.embeddings import EmbeddingsOpenAI

    engine = jan.backend(Upstreams)
    engine.add(settings.upstreams)
    return EmbeddingsOpenAI(jan, engine, passes_on=settings.passes_on)


@hookimpl
def doctor_checks(settings: ModuleSettings, jan: Jan) -> list[Check]:
    """Whether each upstream answers, and tells its models."""
    from jan_upstreams import Upstreams
    from jan_upstreams.doctor import checks

    return checks(jan.backend(Upstreams))
