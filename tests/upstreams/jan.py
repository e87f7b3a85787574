"""A Jan as an upstream of another Jan: the scripted engine for chat, completions and vectors.

    python -m tests.upstreams.jan PORT ROOT

It prints its address, and ends when stdin does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jan_core.serve import run
from jan_core.testing.wired import EVERYTHING, wired
from tests.benchmarks.references.lifetime import follow_stdin


def main() -> None:
    """Serve until stdin ends."""
    follow_stdin()
    modules = {name: path for name, path in EVERYTHING.items() if name.split("-")[0] in _SERVED}
    jan = wired(Path(sys.argv[2]), {"server": {"port": int(sys.argv[1])}}, modules=modules)
    run(jan, lambda address: print(address, flush=True))


_SERVED = ("models", "chat", "completions", "embeddings")

if __name__ == "__main__":
    main()
