"""What 200 packages cost that are installed and that nobody chose."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.benchmarks.client import Connection, get
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import environment, jan_serve, python, serving, smollm2
from tests.unchosen import COUNT, imported, install

ABOUT = "`jan modules` and `jan serve` to the first 200, with 200 packages beside them that nobody chose, against none"
PAIRS = 20
MOST = 1.2
"""How many times as long a start may take."""


def run(bench: Bench) -> list[Row]:
    """Two figures. A package that was imported breaks both."""
    many, none = bench.folder / "many", bench.folder / "none"
    install(many)
    none.mkdir()
    root = smollm2()

    def modules(site: Path) -> float:
        began = time.monotonic()
        command = [*_beside(site), *python("-m", "jan_core.cli", "modules", "--root", str(root))]
        done = subprocess.run(command, check=True, env=environment(), cwd=bench.folder, capture_output=True, text=True)
        took = time.monotonic() - began
        if done.stdout.count("unchosen-") // 2 != (COUNT if site is many else 0):
            raise RuntimeError(f"jan modules lists other packages than those installed:\n{done.stdout}")
        return took * 1000

    def serve(site: Path) -> float:
        began = time.monotonic()
        with serving([*_beside(site), *jan_serve(root)], bench.folder / "jan.log") as server:
            connection = Connection(server.port)
            connection.ask(get("/v1/models"))
            took = time.monotonic() - began
            connection.close()
        return took * 1000

    rows = []
    for name, measured in (("jan modules", modules), ("jan serve to the first 200", serve)):
        bench.say(name)
        measured(many), measured(none)
        pairs = bench.pairs(lambda _, take=measured: take(many), lambda _, take=measured: take(none), PAIRS)
        sung = imported(many)
        broken = f"{len(sung)} packages were imported that nobody chose" if sung else ""
        what = f"{name} beside {COUNT} unchosen packages, ratio to none"
        rows.append(pairs.row(what, MOST, unit=" ms", at_least=False, broken=broken))
    return rows


def _beside(site: Path) -> list[str]:
    """Runs what follows with a folder of packages on its path, which is searched as `site-packages` is."""
    return ["env", f"PYTHONPATH={os.fspath(site)}"]
