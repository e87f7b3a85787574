"""How a wrong implementation is named together with the clause that catches it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

C = TypeVar("C", bound=type)

BITES: dict[str, list[tuple[type[Any], int]]] = {}
"""The wrong implementations of each endpoint, with the numbers of their clauses."""


def caught_by(endpoint: str, number: int) -> Callable[[C], C]:
    """Register a wrong implementation of an endpoint."""

    def register(wrong: C) -> C:
        BITES.setdefault(endpoint, []).append((wrong, number))
        return wrong

    return register
