"""The backend's table, `[jan-postgresql]`."""

from __future__ import annotations

from typing import Any

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import ConfigDict, Field, field_validator, model_validator

from jan_core.schemas.base import Described


class PostgresqlSettings(Described):
    """Which PostgreSQL it is, and how long its answers may take."""

    model_config = ConfigDict(strict=True, extra="forbid")

    dsn: str = ""
    """The server and the database, as `postgresql://user:password@host/database` or `host=… dbname=…`. Empty: a
    server of its own is started inside the root. A password may also be in the environment, as `PGPASSWORD`, or in
    `~/.pgpass`."""
    direct_dsn: str = ""
    """The same database without the PgBouncer that `dsn` goes through: for migrations, and to hear at once what other
    servers do. Empty: `dsn`."""
    min_connections: int = Field(default=1, ge=0, le=1000)
    """Connections that are kept open."""
    max_connections: int = Field(default=10, ge=1, le=1000)
    """Connections of one server process, at most, without the one that listens. All replicas together stay below
    `max_connections` of PostgreSQL."""
    connect_seconds: int = Field(default=5, ge=2, le=600)
    """How long one attempt to connect may take."""
    wait_seconds: float = Field(default=4, gt=0, le=600)
    """How long a request waits for a connection, also while the database is away (503)."""
    answer_seconds: float = Field(default=8, gt=0, le=3600)
    """How long a request waits for the database altogether (503)."""
    migrate_at_start: bool = True
    """Bring the tables up to date when the server starts. Off: a start with old tables is refused, and
    `jan db migrate` does it."""
    folder: str = "postgresql"
    """Where the own server keeps its data, from the root."""

    @field_validator("dsn", "direct_dsn")
    @classmethod
    def _check(cls, value: str) -> str:
        try:
            conninfo_to_dict(value)
        except ProgrammingError as error:
            raise ValueError(f"it is no connection string of PostgreSQL: {str(error).strip()}") from None
        return value

    @model_validator(mode="after")
    def _together(self) -> Any:
        if self.direct_dsn and not self.dsn:
            raise ValueError("direct_dsn stands beside dsn, and there is no dsn")
        if self.min_connections > self.max_connections:
            raise ValueError("min_connections may not be more than max_connections")
        return self
