"""The table `[audit-log]` of `jan.toml`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class Settings(Described):
    """Settings of this plugin."""

    model_config = ConfigDict(strict=True, extra="forbid")

    file: str = Field(default="logs/audit.jsonl", pattern=r"^[^\x00]*[^\x00/\\]\.jsonl$")
    """The log, inside the root; it ends in `.jsonl`. Folders that are missing are made."""
    required: bool = False
    """Whether nothing is changed that could not be logged: each change then has a line of its own before it is begun,
    and where that cannot be written the request is answered 503."""
    fsync: bool = False
    """Whether each line is flushed to the disk before its request is answered, so that it survives a power cut."""
    wait_seconds: float = Field(default=2, gt=0, le=3600)
    """How long an answer waits for its line where the disk is slow. The line is written all the same."""
    rotate_mib: int = Field(default=0, ge=0, le=1 << 20)
    """From this size on, in MiB, the file is put aside and a new one begun; 0 is never."""
    keep: int = Field(default=0, ge=0, le=100_000)
    """How many of the files put aside are kept, the newest; 0 keeps all."""
    leave_out: list[str] = Field(default=[])
    """Endpoints and operations that are not logged, such as `embeddings` or `chat.create`."""
