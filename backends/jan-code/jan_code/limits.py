"""The limits of a process of code, as numbers for the system."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from jan_code.frames import AT_ONCE

if TYPE_CHECKING:
    from jan_code.settings import CodeSettings

FILE_BYTES = 64 << 20
"""The largest file that code may write."""


def of(settings: CodeSettings, *, walls: bool) -> dict[str, int]:
    """The limits that the process sets for itself before it loads any code.

    Args:
        settings: what is allowed.
        walls: whether it runs inside bubblewrap, where only its own processes count.
    """
    processes = 0 if not sys.platform.startswith("linux") else settings.processes + (0 if walls else own_threads())
    return {
        "memory": settings.memory_mib << 20,
        "file": FILE_BYTES,
        "processes": processes,
        "output": settings.output_bytes,
        "requests": AT_ONCE,
    }


def own_threads() -> int:
    """Threads of all processes of this user: Linux counts a limit of processes from nought, not from now. Blocks."""
    mine, count = os.getuid(), 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == mine:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:  # it has just ended
                continue
    return count
