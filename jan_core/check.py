"""A check of `jan doctor`: what was looked at, the verdict, why, and the exact command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

SHOWN = 10
"""Findings of one check that its text tells, at most."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing that `jan doctor --repair` can mend by itself, after it has asked.

    Attributes:
        question: what would be done, as a question that yes or no answers; it names the file.
        do: does it, and returns one sentence that says what was done and where the old state is kept. It looks again
            before it writes, since minutes may have passed; what it raises is told, and the next repair is asked for.
    """

    question: str
    do: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a check.

    Attributes:
        ok: False where something is wrong.
        why: one sentence: what was found.
        remedy: the exact command or edit that mends it; empty where nothing is to be done.
        repairs: what can be mended without a person's judgement, one for each damaged thing.
        found: every finding, each a sentence, where `why` may leave some out.
        warnings: what is not wrong, and worth a look, each a sentence.
    """

    ok: bool
    why: str
    remedy: str = ""
    repairs: tuple[Repair, ...] = ()
    found: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A named look at one thing. `run` returns the verdict; what it raises counts as a failed check."""

    name: str
    run: Callable[[], Verdict]


def wrong(found: Sequence[str], remedy: str, repairs: Iterable[Repair] = ()) -> Verdict:
    """The verdict that something is wrong.

    Args:
        found: what, each a sentence; all are in the verdict, and its text has the first ones.
        remedy: see `Verdict`.
        repairs: see `Verdict`.
    """
    more = [f"And {len(found) - SHOWN} more; jan doctor --json tells all."] if len(found) > SHOWN else []
    return Verdict(False, " ".join([*found[:SHOWN], *more]), remedy, tuple(repairs), tuple(found))
