"""Numbers by labels: what is counted, and how long things took.

prometheus-client has classes for this, which hold a lock for every number and make a list of labels for every access.
All of this is counted on one event loop, for every piece of every answer: a dictionary does it for a fifth of the time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

Labels = tuple[str, ...]
"""The values of the labels, in the order of their names."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)
"""Bounds of durations: from a listing to an answer that takes minutes."""
TOKENS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0)
"""Bounds of numbers of tokens."""


class Counter:
    """A number that only grows, for each combination of labels.

    Args:
        name: without the prefix, and without `_total`.
        about: one sentence for the reader of the page.
        labels: the names of the labels.
    """

    __slots__ = ("about", "labels", "name", "values")

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self.name = name
        self.about = about
        self.labels = tuple(labels)
        self.values: dict[Labels, float] = {}

    def add(self, labels: Labels, number: float = 1) -> None:
        """Count."""
        self.values[labels] = self.values.get(labels, 0) + number


class Spread:
    """How often a value was seen."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Histogram:
    """How values are spread, for each combination of labels.

    Args:
        name: without the prefix.
        about: one sentence for the reader of the page.
        labels: the names of the labels.
        bounds: upper bounds of the ranges that are counted, rising.
    """

    __slots__ = ("about", "bounds", "labels", "name", "values")

    def __init__(self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float] = SECONDS) -> None:
        self.name = name
        self.about = about
        self.labels = tuple(labels)
        self.bounds = tuple(bounds)
        self.values: dict[Labels, Spread] = {}

    def of(self, labels: Labels) -> Spread:
        """The values of these labels, from the first one on."""
        found = self.values.get(labels)
        if found is None:
            found = self.values[labels] = Spread(self.bounds)
        return found
