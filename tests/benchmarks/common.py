"""What every figure shares: interleaved pairs, medians, verdicts, the table, progress lines."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

PAIRS = 10
"""Interleaved pairs behind a figure, at least."""
QUICK_PAIRS = 3
"""The same for a quick look."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        value: the figure: a median of pairs, or what `of` says.
        low: the lower end of its spread.
        high: the upper end.
        threshold: what it must reach (`at_least`) or stay under; None for a figure that is told only.
        unit: printed behind the figures.
        at_least: whether more is better.
        of: what the spread is of, and any remark.
        broken: why the figure counts for nothing; such a row fails whatever its value.
    """

    what: str
    value: float
    low: float
    high: float
    threshold: float | None
    unit: str = ""
    at_least: bool = True
    of: str = ""
    broken: str = ""

    @property
    def passed(self) -> bool:
        """Whether it reaches its threshold. A figure that is no number never does."""
        if self.broken or math.isnan(self.value):
            return False
        if self.threshold is None:
            return True
        return self.value >= self.threshold if self.at_least else self.value <= self.threshold

    @property
    def verdict(self) -> str:
        """One word, or what broke it."""
        if self.broken:
            return f"BROKEN: {self.broken}"
        if self.threshold is None:
            return "told"
        return "ok" if self.passed else "MISSED"

    def cells(self) -> tuple[str, str, str, str, str]:
        """The row as text: what, value, spread, threshold, verdict."""
        sign = ">=" if self.at_least else "<="
        threshold = "" if self.threshold is None else f"{sign} {shown(self.threshold)}{self.unit}"
        spread = f"{shown(self.low)} to {shown(self.high)}" + (f", {self.of}" if self.of else "")
        return self.what, shown(self.value) + self.unit, spread, threshold, self.verdict


HEADER = ("what", "measured", "spread", "threshold", "verdict")


def shown(number: float) -> str:
    """A number with three figures that count, and no exponent: 0.9731 is 0.973, 17312 is 17312."""
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:.{digits}f}"


def table(rows: Sequence[Row]) -> str:
    """The rows under a header, in columns as wide as they need to be."""
    lines = [HEADER, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    lines.insert(1, ("-" * widths[0], "-" * widths[1], "-" * widths[2], "-" * widths[3], "-" * widths[4]))
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent of the values do not exceed (nearest rank).

    Args:
        values: at least one.
        percent: above 0, to 100.

    Raises:
        ValueError: there are no values, or the percentage is out of range.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no percentile {percent} of {len(values)} values")
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Where the middle half of the values begins and ends."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, last = statistics.quantiles(values, n=4, method="inclusive")
    return first, last


@dataclass(frozen=True, slots=True)
class Pairs:
    """Measurements of Jan, and of its reference taken next to each.

    Attributes:
        jan: Jan's, in the order they were taken.
        reference: the reference's; the one at the same index is the other of the pair.
    """

    jan: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """Jan's over the reference's, a pair each."""
        return [ours / theirs for ours, theirs in zip(self.jan, self.reference, strict=True)]

    def differences(self) -> list[float]:
        """Jan's less the reference's, a pair each."""
        return [ours - theirs for ours, theirs in zip(self.jan, self.reference, strict=True)]

    def row(
        self,
        what: str,
        threshold: float | None,
        *,
        unit: str,
        ratio: bool = True,
        at_least: bool = True,
        broken: str = "",
        remark: str = "",
    ) -> Row:
        """The row of these pairs: the median ratio, or difference, with its quartiles.

        Args:
            what: the row's name.
            threshold: what the median must reach, or stay under.
            unit: the unit of the single measurements; of the figure itself where it is a difference.
            ratio: a ratio, else a difference.
            at_least: whether more is better.
            broken: see `Row`.
            remark: printed behind the spread.
        """
        values = self.ratios() if ratio else self.differences()
        low, high = quartiles(values)
        ours, theirs = statistics.median(self.jan), statistics.median(self.reference)
        of = f"{len(values)} pairs; Jan {shown(ours)}{unit}, reference {shown(theirs)}{unit}"
        if remark:
            of += f"; {remark}"
        return Row(what, statistics.median(values), low, high, threshold, "" if ratio else unit, at_least, of, broken)


def interleave(
    count: int, jan: Callable[[int], float], reference: Callable[[int], float], say: Callable[[str], None]
) -> Pairs:
    """Measure in pairs, and let each side go first in turn, so that neither always finds the machine warmed up.

    Args:
        count: how many pairs.
        jan: takes one measurement of Jan, given the number of the pair, from 0.
        reference: takes one of the reference.
        say: told of every pair.
    """
    pairs = Pairs()
    for number in range(count):
        if number % 2:
            theirs = reference(number)
            ours = jan(number)
        else:
            ours = jan(number)
            theirs = reference(number)
        pairs.jan.append(ours)
        pairs.reference.append(theirs)
        say(f"pair {number + 1} of {count}: Jan {shown(ours)}, reference {shown(theirs)}")
    return pairs


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmarks.

    Attributes:
        quick: whether it is only a quick look.
        folder: an empty folder, removed at the end.
        name: the figure that is being measured.
    """

    quick: bool
    folder: Path
    name: str

    def count(self, full: int = PAIRS) -> int:
        """How many pairs to take; `full` where this is no quick look."""
        return min(full, QUICK_PAIRS) if self.quick else full

    def say(self, text: str) -> None:
        """One line of progress, to stderr."""
        print(f"{self.name}: {text}", file=sys.stderr, flush=True)

    def pairs(self, jan: Callable[[int], float], reference: Callable[[int], float], full: int = PAIRS) -> Pairs:
        """`interleave`, with this run's count and progress lines."""
        return interleave(self.count(full), jan, reference, self.say)
