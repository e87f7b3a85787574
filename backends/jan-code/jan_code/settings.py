"""The backend's table, `[jan-code]`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class CodeSettings(Described):
    """What the own code of assistants may do."""

    model_config = ConfigDict(strict=True, extra="forbid")

    enabled: bool = True
    """False: no code of an assistant is ever run, and assistants have no tools of their own."""
    call_seconds: float = Field(default=30, ge=0.1, le=86_400)
    """The longest that one call of a function may take."""
    load_seconds: float = Field(default=30, ge=0.1, le=86_400)
    """The longest that `index.py` may take to be loaded, when its process starts."""
    run_seconds: float = Field(default=300, ge=0.1, le=86_400)
    """The longest that a `run` of the assistant's own may take."""
    runs: int = Field(default=4, ge=1, le=1000)
    """How many such runs of one assistant may go on at once, each in a process of its own; others wait. Those that such
    runs ask for are counted by themselves."""
    memory_mib: int = Field(default=512, ge=64, le=1 << 20)
    """Address space of each process of the code, in MiB; of one in JavaScript, its heap. The former not on Windows."""
    output_bytes: int = Field(default=1 << 20, ge=1024, le=1 << 28)
    """What one call or run may give back, what it may print, and what a request of a run may have, each."""
    processes: int = Field(default=32, ge=1, le=4096)
    """How many processes and threads the code may have. Linux only, and not where the server runs as root."""
    idle_seconds: float = Field(default=300, ge=0, le=86_400)
    """The process of an assistant ends after so long without a call."""
