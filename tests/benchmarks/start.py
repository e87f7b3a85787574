"""How long `jan serve` takes until it answers, against importing what it is made of."""

from __future__ import annotations

import subprocess
import time

from tests.benchmarks.client import Connection, get
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import environment, jan_serve, python, serving, smollm2

ABOUT = "`jan serve` to the first /v1/models, against importing Starlette, uvicorn and pydantic"


def run(bench: Bench) -> list[Row]:
    """The one figure: the process starts, tells its address, and has answered a request."""
    root = smollm2()
    imports = python("-c", "import starlette.applications, uvicorn, pydantic")

    def jan(number: int) -> float:
        began = time.monotonic()
        with serving(jan_serve(root), bench.folder / "jan.log") as server:
            connection = Connection(server.port)
            connection.ask(get("/v1/models"))
            took = time.monotonic() - began
            connection.close()
        return took * 1000

    def theirs(number: int) -> float:
        began = time.monotonic()
        subprocess.run(imports, check=True, env=environment(), cwd=bench.folder)
        return (time.monotonic() - began) * 1000

    jan(0)
    theirs(0)
    pairs = bench.pairs(jan, theirs)
    return [pairs.row("jan serve to the first 200, ratio to its imports", 2.5, unit=" ms", at_least=False)]
