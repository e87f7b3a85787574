"""The limits that a process of code sets for itself, before any code is loaded. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping


def limit(given: Mapping[str, int], memory: str = "RLIMIT_AS") -> None:
    """Set what the system holds: memory, the size of a file, open files, processes, no core dumps.

    Args:
        given: `memory` and `file`, in bytes, and `processes`; 0 of these sets none.
        memory: the limit that `memory` is for: the address space, or what of it is the process's own to write.
    """
    try:
        import resource
    except ImportError:  # Windows has none of them
        return
    wanted = {memory: given["memory"], "RLIMIT_FSIZE": given["file"], "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 256}
    if given["processes"]:
        wanted["RLIMIT_NPROC"] = given["processes"]
    for name, most in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):  # macOS refuses RLIMIT_AS
            continue
