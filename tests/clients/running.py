"""Running a client's program, and what it told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

PROGRAMS = Path(__file__).parent / "programs"


class Told:
    """What a client's program told of each of its cases."""

    def __init__(self, lines: list[dict[str, Any]], stderr: str) -> None:
        self._lines = {line["case"]: line for line in lines}
        self._stderr = stderr

    def __getitem__(self, case: str) -> Any:
        """What a case found; fails the test where the case failed inside the client."""
        line = self._lines.get(case)
        if line is None:
            pytest.fail(f"the program told nothing of {case!r}:\n{self._stderr}", pytrace=False)
        if "failed" in line:
            pytest.fail(f"{case}: {line['failed']}", pytrace=False)
        return line["found"]


class Run(Protocol):
    """Runs a client's program against the server."""

    def __call__(self, *command: str | Path, **environ: str) -> Told:
        """See above."""
