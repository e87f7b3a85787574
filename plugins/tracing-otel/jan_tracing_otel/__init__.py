"""Traces of Jan for OpenTelemetry, with the conventions for generative AI.

What is measured is noted while a request runs, in `spans`, and written down as OTLP when it is over; a thread of its
own sends it. Nothing of that is imported before the plugin is chosen and built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from jan_core.app import Jan
    from jan_core.check import Check
    from jan_core.endpoint import Endpoint
    from jan_core.hookspecs import Wrapper
    from jan_tracing_otel.settings import Settings


@hookimpl
def settings_model() -> type[Settings]:
    """The table [tracing-otel]."""
    from jan_tracing_otel.settings import Settings

    return Settings


@hookimpl
def wrap_every(settings: Settings, jan: Jan, endpoint: type[Endpoint]) -> Mapping[str, Wrapper]:
    """A span around every operation."""
    from jan_tracing_otel.operations import wrappers
    from jan_tracing_otel.tracing import Tracing

    return wrappers(jan.backend(Tracing), endpoint)


@hookimpl
def asgi_wrapper(settings: Settings, jan: Jan) -> Callable[[ASGIApp], ASGIApp] | None:
    """A span around every request."""
    from jan_tracing_otel.requests import TracedRequests
    from jan_tracing_otel.tracing import Tracing

    tracing = jan.backends.get(Tracing)
    if not isinstance(tracing, Tracing) or not tracing.on:
        return None
    return lambda app: TracedRequests(app, tracing)


@hookimpl
def doctor_checks(settings: Settings, jan: Jan) -> list[Check]:
    """Whether traces reach where they are sent."""
    from jan_tracing_otel.doctor import checks
    from jan_tracing_otel.tracing import Tracing

    tracing = jan.backends.get(Tracing)
    return checks(tracing) if isinstance(tracing, Tracing) and tracing.on else []
