"""Jan on the scripted engine, with assistants, threads, messages and runs in a folder, as `jan serve` has them.

python -m tests.benchmarks.references.running ROOT
"""

from __future__ import annotations

import sys
from pathlib import Path

from jan_core.serve import run
from jan_core.testing.wired import SCRIPTED, wired
from tests.benchmarks.references.lifetime import follow_stdin

FOLDER = {
    "assistants-json": "jan_assistants_json",
    "threads-json": "jan_threads_json",
    "messages-json": "jan_messages_json",
    "runs-json": "jan_runs_json",
}


def main() -> None:
    """Serve on a free port until stdin ends."""
    follow_stdin()
    jan = wired(Path(sys.argv[1]), {"server": {"port": 0}}, modules={**SCRIPTED, **FOLDER})
    run(jan, lambda address: print(address, flush=True))


if __name__ == "__main__":
    main()
