"""Metrics of Jan in the format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jan_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from jan_core.app import Jan
    from jan_core.endpoint import Endpoint
    from jan_core.hookspecs import Wrapper


@hookimpl
def settings_model() -> type[BaseModel]:
    """Return the model of `[metrics-prometheus]`."""
    from jan_metrics_prometheus.settings import Settings

    return Settings


@hookimpl
def wrap_every(settings: Any, jan: Jan, endpoint: type[Endpoint]) -> Mapping[str, Wrapper]:
    """Measure what models answer."""
    from jan_metrics_prometheus.answers import wrappers
    from jan_metrics_prometheus.measured import Measured

    return wrappers(jan.backend(Measured), endpoint)


@hookimpl
def asgi_wrapper(settings: Any, jan: Jan) -> Callable[[ASGIApp], ASGIApp]:
    """Measure every request."""
    from jan_metrics_prometheus.measured import Measured
    from jan_metrics_prometheus.requests import Requests

    measured = jan.backend(Measured)
    return lambda app: Requests(app, measured)


@hookimpl
def register_routes(settings: Any, jan: Jan) -> list[BaseRoute]:
    """Serve what was measured."""
    from jan_metrics_prometheus.measured import Measured
    from jan_metrics_prometheus.page import route

    return [route(settings.path, jan, jan.backend(Measured))]
