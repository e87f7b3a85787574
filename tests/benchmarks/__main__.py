"""The command: which figures to take, their table, and the exit status."""

from __future__ import annotations

import argparse
import importlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.client import BadReply
from tests.benchmarks.common import Bench, Row, table
from tests.benchmarks.processes import NotStarted

FIGURES = (
    "help",
    "start",
    "installed",
    "models",
    "wrapping",
    "plugins",
    "streams",
    "memory",
    "stream",
    "constrained",
    "embeddings",
    "turns",
    "ctransformers",
    "messages",
    "threads",
    "postgresql",
    "replicas",
    "copying",
    "runs",
    "upstreams",
)
"""Those that are taken when none is named, in this order."""
TOLD_ONLY = ("transport",)
"""Those without a threshold, taken when named."""


def main() -> int:
    """Take the figures; 0 where all reach their thresholds, 1 where one misses or could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__import__("tests.benchmarks", fromlist=["x"]).__doc__
    )
    names = [*FIGURES, *TOLD_ONLY]
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(names)}; default all but transport")
    parser.add_argument("--quick", action="store_true", help="three pairs instead of ten or more")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in names]
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are: {', '.join(names)}")
    if sys.platform != "linux":
        parser.error("memory and CPU of other processes are read from /proc, so this needs Linux")
    # Ended from outside, it must end its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rows: list[Row] = []
    began = time.monotonic()
    try:
        for name in given.names or FIGURES:
            rows += _taken(name, given.quick)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    finally:
        if rows:
            print(table(rows), flush=True)
    print(f"{sum(row.passed for row in rows)} of {len(rows)} rows stand, after {time.monotonic() - began:.0f} s")
    return 0 if all(row.passed for row in rows) else 1


def _taken(name: str, quick: bool) -> list[Row]:
    figure = importlib.import_module(f"tests.benchmarks.{name}")
    with tempfile.TemporaryDirectory(prefix="jan-bench-") as folder:
        bench = Bench(quick, Path(folder), name)
        bench.say(figure.ABOUT)
        try:
            rows: list[Row] = figure.run(bench)
        except (BadReply, NotStarted, OSError, RuntimeError, subprocess.SubprocessError) as error:
            bench.say(f"{type(error).__name__}: {error}")
            rows = [Row(name, float("nan"), 0, 0, None, broken=f"{type(error).__name__}, told above")]
    return rows


if __name__ == "__main__":
    sys.exit(main())
