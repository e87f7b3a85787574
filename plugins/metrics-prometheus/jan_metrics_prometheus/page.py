"""The page that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from starlette.routing import Route

from jan_core import __version__
from jan_core.backend import Engine

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from jan_core.app import Jan
    from jan_core.schemas.engines import EngineModel
    from jan_metrics_prometheus.measured import Measured

PREFIX = "jan:"
"""What all names begin with; where vLLM measures the same, what follows is its name."""
KIND = b"text/plain; version=0.0.4; charset=utf-8"
"""The text format, which every reader takes."""
_Values = dict[tuple[str, ...], float]
STATES = ("waiting", "loading", "loaded")
"""What a model may be doing, as in `/engines/models`."""


def route(path: str, jan: Jan, measured: Measured) -> Route:
    """The route of the page.

    Args:
        path: where it is.
        jan: the app whose engines are shown.
        measured: what was counted.
    """
    return Route(path, Page(path, jan, measured), methods=["GET"])


class Page:
    """The ASGI app of the page, and the collector of what is on it.

    Args:
        path: where it is.
        jan: the app whose engines are shown.
        measured: what was counted.
    """

    def __init__(self, path: str, jan: Jan, measured: Measured) -> None:
        self._path = path
        self._jan = jan
        self._measured = measured
        self._registry = CollectorRegistry()
        self._registry.register(self)
        if measured.settings.process:
            ProcessCollector(registry=self._registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope["state"]["route"] = self._path
        body = generate_latest(self._registry)
        headers = [(b"content-type", KIND), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def describe(self) -> Iterable[Metric]:
        """Tell the registry nothing beforehand: there is one collector of these names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Everything there is to tell now."""
        measured = self._measured
        for counter in measured.counters():
            counted = CounterMetricFamily(PREFIX + counter.name, counter.about, labels=counter.labels)
            for labels, number in counter.values.items():
                counted.add_metric(labels, number)
            yield counted
        for histogram in measured.histograms():
            spread = HistogramMetricFamily(PREFIX + histogram.name, histogram.about, labels=histogram.labels)
            bounds = [*map(str, histogram.bounds), "+Inf"]
            for labels, values in histogram.values.items():
                below = zip(bounds, accumulate(values.counts), strict=True)
                spread.add_metric(labels, [*below], values.total)
            yield spread
        under_way = len(self._jan.under_way)
        yield _gauge("http_requests_in_progress", "Requests that are being answered.", (), {(): under_way})
        yield _gauge("build_info", "The version of jan-core, as a label.", ("version",), {(__version__,): 1})
        yield from self._engines()

    def _engines(self) -> Iterator[Metric]:
        engines = [one for one in self._jan.backends.values() if isinstance(one, Engine)]
        states: _Values = {(engine.engine, state): 0.0 for engine in engines for state in STATES}
        sums: dict[str, _Values] = {name: {} for name in _OF_MODEL}
        for engine in engines:
            for model in engine.loaded():
                states[engine.engine, model.state] += 1
                labels = (self._measured.limited(model.id), model.engine, model.purpose)
                for name, number in _numbers(model).items():
                    if number is not None:
                        sums[name][labels] = sums[name].get(labels, 0) + number
        yield _gauge("engine_models", "Models in memory, or on the way there.", ("engine", "state"), states)
        for name, about in _OF_MODEL.items():
            yield _gauge(name, about, ("model", "engine", "purpose"), sums[name])


_OF_MODEL = {
    "num_requests_running": "Requests that a loaded model is answering: its slots in use.",
    "num_requests_waiting": "Requests in a loaded model's queue.",
    "engine_slots": "Requests that a loaded model answers at once.",
    "engine_memory_bytes": "Memory that a loaded model's process holds.",
    "engine_memory_estimated_bytes": "Memory that was set aside for a loaded model.",
}


def _numbers(model: EngineModel) -> dict[str, int | None]:
    return {
        "num_requests_running": model.busy,
        "num_requests_waiting": model.waiting,
        "engine_slots": model.slots,
        "engine_memory_bytes": model.memory,
        "engine_memory_estimated_bytes": model.estimated,
    }


def _gauge(name: str, about: str, labels: tuple[str, ...], values: _Values) -> Metric:
    gauge = GaugeMetricFamily(PREFIX + name, about, labels=labels)
    for given, number in values.items():
        gauge.add_metric(given, number)
    return gauge
