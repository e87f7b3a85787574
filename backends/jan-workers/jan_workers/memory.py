"""How much memory there is, and how much a process holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def machine_memory(own_group: Path = Path("/proc/self/cgroup"), groups: Path = _GROUPS) -> int | None:
    """Bytes of memory that this process may use at most: the machine's, or less where its control groups allow less.

    Args:
        own_group: the file that names this process's control groups.
        groups: where the control groups are.

    Returns:
        None where the system does not tell.
    """
    known = [limit for limit in (_installed(), *_group_limits(own_group, groups)) if limit]
    return min(known, default=None)


def process_memory(pid: int) -> int | None:
    """Bytes of memory that a process holds now, files that it has mapped included; None where that is not known."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError, AttributeError):
        return None


def _installed() -> int | None:
    if sys.platform == "win32":
        import ctypes

        class Status(ctypes.Structure):
            _fields_ = [
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                *((name, ctypes.c_ulonglong) for name in ("total", "a", "b", "c", "d", "e", "f")),
            ]

        status = Status(length=ctypes.sizeof(Status))
        return int(status.total) if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _group_limits(own_group: Path, groups: Path) -> list[int]:
    """The limits of this process's control groups and of all around them, of version 2 and 1."""
    found = []
    try:
        lines = own_group.read_text("utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = groups / "memory" if controllers else groups
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            try:
                text = base.joinpath(*parts[:depth], name).read_text("ascii").strip()
            except OSError:
                continue  # in a container, the path is one of the host's
            if text.isdigit():
                found.append(int(text))
    return found
