"""How long `jan --help` takes, more than an empty Python."""

from __future__ import annotations

import subprocess
import time

from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import environment, python

ABOUT = "`jan --help`, against `python -c pass`"


def run(bench: Bench) -> list[Row]:
    """The one figure."""

    def timed(*arguments: str) -> float:
        began = time.monotonic()
        subprocess.run(python(*arguments), check=True, env=environment(), cwd=bench.folder, stdout=subprocess.DEVNULL)
        return (time.monotonic() - began) * 1000

    def jan(number: int) -> float:
        return timed("-m", "jan_core.cli", "--help")

    def theirs(number: int) -> float:
        return timed("-c", "pass")

    jan(0)
    pairs = bench.pairs(jan, theirs, 20)
    return [pairs.row("jan --help, more than python -c pass", 250, unit=" ms", ratio=False, at_least=False)]
