"""A check of `jan doctor`: what was looked at, the verdict, why, and the exact command that mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a check.

    Attributes:
        ok: False where something is wrong.
        why: one sentence: what was found.
        remedy: the exact command or edit that mends it; empty where nothing is to be done.
    """

    ok: bool
    why: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A named look at one thing. `run` returns the verdict; what it raises counts as a failed check."""

    name: str
    run: Callable[[], Verdict]
