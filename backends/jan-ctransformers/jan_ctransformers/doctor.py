"""The backend's checks for `jan doctor`."""

from __future__ import annotations

import subprocess
import sys

from jan_core.check import Check, Verdict


def checks() -> list[Check]:
    """Whether the engine's library loads, tried in a process of its own, since a bad one would take ours along."""
    return [Check("engine ctransformers", _loads)]


def _loads() -> Verdict:
    command = [sys.executable, "-c", "from jan_ctransformers.library import find, load; load(); print(find())"]
    remedy = f"{sys.executable} -m pip install --force-reinstall ctransformers==0.2.27"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Verdict(False, f"ctransformers could not be tried: {error}", remedy)
    if done.returncode == 0:
        return Verdict(True, f"ctransformers loads ({done.stdout.strip()})")
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    if "NoBinary: " in last:
        said, _, remedy = last.split("NoBinary: ", 1)[1].rpartition(": ")
        return Verdict(False, said, remedy)
    return Verdict(False, f"ctransformers does not load: {last}", remedy)
