"""The kernel's own table of settings, `[server]`."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from jan_core.schemas.base import Described


class ServerSettings(Described):
    """`[server]` of `jan.toml`: where Jan listens, and the limits that keep it up."""

    model_config = ConfigDict(strict=True, extra="forbid")

    host: str = "127.0.0.1"
    """Address to listen on. One beyond loopback is refused unless a chosen plugin authenticates."""
    port: int = Field(default=1337, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    allowed_hosts: list[str] = Field(default=[])
    """Further names that requests may give as `Host`, besides the loopback ones."""
    allowed_origins: list[str] = Field(default=[])
    """Web pages, as `https://name[:port]`, whose scripts may call this server."""
    header_bytes: int = Field(default=32 * 1024, ge=1024, le=2**30)
    """Largest request line and header block, in bytes (431)."""
    header_seconds: float = Field(default=10, gt=0, le=86_400)
    """Longest time for the headers to arrive (408)."""
    body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024, le=2**40)
    """Largest request body, in bytes (413). Reading one of 4 MiB takes up to half a second of everybody's time."""
    body_seconds: float = Field(default=30, gt=0, le=86_400)
    """Longest pause of a body that is arriving (408)."""
    write_seconds: float = Field(default=60, gt=0, le=86_400)
    """How long a client may read nothing of its reply before it is dropped."""
    keep_alive_seconds: int = Field(default=30, ge=1, le=86_400)
    """How long an idle connection is kept."""
    grace_seconds: float = Field(default=5, ge=0, le=86_400)
    """How long replies may take to end after SIGTERM or Ctrl-C."""
    log_requests: bool = True
    """One line of JSON a request, on stderr."""
    log_prompts: bool = False
    """Add the request's body to that line. Prompts are private: off unless you need it."""
