"""How many threads a worker computes with, where nobody says."""

from __future__ import annotations

import os
import sys

_SMT = "/sys/devices/system/cpu/smt/active"


def default_threads() -> int:
    """One for each core that this process may use, but one core for everything else where no sibling threads are free.

    llama.cpp's threads wait for one another by spinning. One of them without a core of its own stalls all the others:
    on two busy cores, two threads made 3 to 12 tokens a second, and one made 40 to 65.

    Returns:
        1 or more. Where cores run two threads each (SMT), the second ones are left to everything else.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cpus // 2 if _has_siblings() else cpus - 1)


def _has_siblings() -> bool:
    """Whether two CPUs are one core: Linux tells; a Mac's are not (Apple's own); elsewhere it is the usual case."""
    try:
        with open(_SMT, encoding="ascii") as told:
            return told.read().strip() == "1"
    except OSError:
        return sys.platform == "win32"
