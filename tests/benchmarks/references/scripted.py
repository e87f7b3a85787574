"""Jan on the scripted engine and models in memory, with so many plugins that wrap everything and do nothing.

python -m tests.benchmarks.references.scripted ROOT PLUGINS
"""

from __future__ import annotations

import sys
from pathlib import Path

from jan_core.serve import run
from jan_core.testing.wired import wired
from tests.benchmarks.references.lifetime import follow_stdin


def main() -> None:
    """Serve on a free port until stdin ends."""
    follow_stdin()
    plugins = {f"noop-{number}": f"tests.benchmarks.references.noop:PLUGIN_{number}" for number in range(1, 5)}
    chosen = dict(list(plugins.items())[: int(sys.argv[2])])
    jan = wired(Path(sys.argv[1]), {"server": {"port": 0}}, plugins=chosen)
    run(jan, lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
