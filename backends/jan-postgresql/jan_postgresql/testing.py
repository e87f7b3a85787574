"""A real PostgreSQL for tests: one server a process, which is started when first asked for, and a database a folder."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from jan_postgresql.own_server import OwnServer

QUICK = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
    "max_connections = 800",
    "log_line_prefix = '%d '",
)
"""What a server for tests leaves out: it need not survive a power cut."""


_STATEMENT = re.compile(r"(\w+) LOG:  (?:statement|execute [^:]+): (.*)")
_TABLE = re.compile(r"jan\.\w+")


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


async def statements_of(dsn: str, work: Callable[[], Awaitable[object]]) -> list[str]:
    """What the server is told by others while some work is done: the word each statement begins with, and its table.

    Args:
        dsn: the database. Only sessions that began after `log_statements` count.
        work: the work.
    """
    log = server().log
    name = str(conninfo_to_dict(dsn)["dbname"])
    before = len(log.read_text("utf-8"))
    await work()
    found: list[str] = []
    text = log.read_text("utf-8")[before:].replace("\n\t", " ")
    for line in text.splitlines():
        match = _STATEMENT.match(line)
        if match is not None and match[1] == name:
            table = _TABLE.search(match[2])
            found.append(match[2].split()[0] + (f" {table[0]}" if table else ""))
    return found


def log_statements(dsn: str) -> None:
    """Have the server log what sessions that begin from now on ask a database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(name))


def plan_of(dsn: str, statement: str, values: Sequence[Any] | Mapping[str, Any]) -> tuple[set[str], int]:
    """How the server finds the rows of a statement, measured by doing it.

    Args:
        dsn: the database.
        statement: as the driver takes it.
        values: its values.

    Returns:
        The names of the indexes it went through, `table <name>` for a table that was read from end to end and `sort`
        where rows were sorted; and how many rows were looked at altogether, those that were left out as well.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF, SUMMARY OFF) {statement}"
        (row,) = connection.execute(query.encode(), values).fetchall()
    found: set[str] = set()
    rows = 0
    nodes = [row[0][0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", ())
        if node["Node Type"] == "Seq Scan":
            found.add(f"table {node['Relation Name']}")
        if node["Node Type"] in ("Sort", "Incremental Sort"):
            found.add("sort")
        if "Index Name" in node:
            found.add(node["Index Name"])
        if not node.get("Plans"):
            left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
            rows += round((node["Actual Rows"] + left_out) * node["Actual Loops"])
    return found, rows
