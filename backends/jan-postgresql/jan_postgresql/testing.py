"""A real PostgreSQL for tests: one server a process, which is started when first asked for, and a database a folder."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from jan_postgresql.own_server import OwnServer

QUICK = ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 200")
"""What a server for tests leaves out: it need not survive a power cut."""


@cache
def server() -> OwnServer:
    """The server of this process; it is stopped, and its folder removed, when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="jan-postgresql-test-"))
    found = OwnServer(folder, QUICK)
    found.start()

    def end() -> None:
        found.leave()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return found


def dsn_for(folder: Path) -> str:
    """The connection string of a database that belongs to a folder: the same for the same folder, else a new one."""
    name = "t_" + sha256(str(folder.absolute()).encode()).hexdigest()[:24]
    with psycopg.connect(server().dsn, autocommit=True) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.DuplicateDatabase:
            pass
    return make_conninfo(server().dsn, dbname=name)
