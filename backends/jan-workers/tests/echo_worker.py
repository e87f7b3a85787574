"""A worker process without an engine: it says what it is told, and does on demand whatever a worker can do wrong."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from jan_workers.child import Child, Refused, run


class EchoChild(Child):
    """Loads nothing, slowly, hugely or not at all; answers with the pieces that it is asked for."""

    ballast = b""

    def check(self, given: dict[str, Any]) -> None:
        if given.get("harmful"):
            raise Refused("harmful_template", given["harmful"])
        while given.get("endless_check"):
            _pause()

    def open(self, given: dict[str, Any]) -> None:
        with open(given["journal"], "a", encoding="utf-8") as journal:
            journal.write(f"{given['path']}\n")
        print(given.get("complaint", ""), file=sys.stderr, flush=True)
        print("what an engine prints is no frame", flush=True)
        while given.get("gate") and not os.path.exists(given["gate"]):
            _pause()
        if given.get("wrong_template"):
            raise Refused("bad_template", given["wrong_template"])
        if given.get("fail"):
            raise RuntimeError(given["fail"])
        if given.get("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        self.ballast = b"x" * (given.get("ballast_mib", 0) << 20)

    def patience(self, body: bytes) -> float | None:
        found: float | None = json.loads(body).get("patience")
        return found

    def answer(self, task: str, body: bytes, on_piece: Callable[[bytes], bool]) -> None:
        told = json.loads(body)
        while told.get("spin"):
            pass
        for piece in told.get("say", ()):
            if on_piece(json.dumps({"said": piece, "task": task}).encode()):
                return
        while told.get("endless"):
            if on_piece(b'{"said": "more"}'):
                return
            _pause()
        if told.get("killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        if told.get("refused"):
            raise Refused("template_failed", told["refused"])
        if told.get("fail"):
            raise RuntimeError(told["fail"])
        if told.get("greedy"):
            raise MemoryError


def _pause() -> None:
    threading.Event().wait(0.005)


if __name__ == "__main__":
    run(EchoChild)
