"""The backend's checks for `jan doctor`."""

from __future__ import annotations

import subprocess
import sys

from jan_core.check import Check, Verdict


def checks() -> list[Check]:
    """Whether the engine's library loads, tried in a process of its own, since a bad one would take ours along."""
    return [Check("engine llamacpp", _loads)]


def _loads() -> Verdict:
    command = [sys.executable, "-c", "import xllamacpp; print(xllamacpp.__version__)"]
    remedy = f"{sys.executable} -m pip install --force-reinstall xllamacpp"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Verdict(False, f"xllamacpp could not be tried: {error}", remedy)
    if done.returncode == 0:
        return Verdict(True, f"xllamacpp {done.stdout.strip()} loads")
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return Verdict(False, f"xllamacpp does not load: {last}", remedy)
