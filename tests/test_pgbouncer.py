"""Through a real PgBouncer that pools transactions: the installed one, else one that apt-get unpacks into `.cache`."""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from jan_postgresql.backend import Postgresql
from jan_postgresql.database import Connection
from jan_postgresql.own_server import NOBODY
from jan_postgresql.settings import PostgresqlSettings
from jan_postgresql.testing import dsn_for, server
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import CACHE, alone
from jan_core.app import Jan
from jan_core.testing.contract.messages import MessagesContract
from jan_core.testing.contract.runs import RunsContract
from jan_core.testing.contract.threads import ThreadsContract

UNPACKED = CACHE / "pgbouncer"


def found() -> str | None:
    """The program; where it is not installed it is unpacked, which needs no rights, from Debian's packages by name."""
    installed = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if installed is not None or shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return installed
    program = UNPACKED / "usr" / "sbin" / "pgbouncer"
    with alone("pgbouncer"):
        if not program.exists():
            shutil.rmtree(UNPACKED, ignore_errors=True)
            UNPACKED.mkdir(parents=True)
            try:
                _unpack("pgbouncer")
                (package,) = UNPACKED.glob("pgbouncer*.deb")
                needed = _run("dpkg-deb", "-f", str(package), "Depends")
                for one in re.findall(r"\b(?:libevent|libc-ares|libcares)[\w.+-]*", needed):
                    _unpack(one)
            except (OSError, subprocess.SubprocessError):
                return None
    return str(program) if program.exists() else None


def _unpack(name: str) -> None:
    _run("apt-get", "-qq", "download", name)
    for package in UNPACKED.glob(f"{name}_*.deb"):
        _run("dpkg-deb", "-x", str(package), str(UNPACKED))


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=UNPACKED, check=True, timeout=60, capture_output=True, text=True)
    return done.stdout


PROGRAM = found()
if PROGRAM is None:
    why = "there is no pgbouncer, and apt-get could not fetch it (apt-get update, or apt-get install pgbouncer)"
    pytest.skip(why, allow_module_level=True)

CONFIG = """
[databases]
* = host={host} port=5432 user=jan
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
server_idle_timeout = 2
max_client_conn = 500
"""


@cache
def port() -> int:
    """The port of a PgBouncer before the tests' server; it ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="jan-pgbouncer-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    file = folder / "pgbouncer.ini"
    file.write_text(CONFIG.format(host=conninfo_to_dict(server().dsn)["host"], port=number))
    command = [str(PROGRAM), "-q", str(file)]
    if os.geteuid() == 0:  # which it refuses
        kept = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
        command = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *kept, "--", *command]
    libraries = ":".join(str(one.parent) for one in UNPACKED.glob("usr/lib/**/libevent*"))
    variables = {**os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=variables)

    def end() -> None:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)

    atexit.register(end)
    # In a thread of its own: where this is called, a loop runs already.
    waiting = threading.Thread(target=lambda: asyncio.run(_answers(number)))
    waiting.start()
    waiting.join()
    return number


async def _answers(number: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", number)
            except ConnectionError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


def through(folder: Path) -> str:
    return make_conninfo(dsn_for(folder), host="127.0.0.1", port=port())


class TestMessages(MessagesContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": through(tmp_path)}}
        return self.app(tmp_path, "messages-postgresql", beside={"threads": "threads-postgresql"}, tables=tables)


class TestThreads(ThreadsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": through(tmp_path), "direct_dsn": dsn_for(tmp_path)}}
        return self.app(tmp_path, "threads-postgresql", beside={"messages": "messages-postgresql"}, tables=tables)


class TestRuns(RunsContract):
    def make(self, tmp_path: Path) -> Jan:
        tables = {"jan-postgresql": {"dsn": through(tmp_path)}}
        beside = {name: f"{name}-postgresql" for name in ("threads", "messages", "assistants")}
        return self.app(tmp_path, "runs-postgresql", beside=beside, tables=tables)


@pytest.mark.anyio
async def test_it_is_noticed_and_nothing_is_prepared(tmp_path: Path) -> None:
    jan: Any = SimpleNamespace(root=tmp_path, config=SimpleNamespace(where=lambda *_: "jan.toml, line 1"))

    async def threshold(connection: Connection) -> int | None:
        return connection.prepare_threshold

    dsn = await asyncio.to_thread(through, tmp_path)
    async with Postgresql(PostgresqlSettings(dsn=dsn), jan) as backend:
        assert await backend.do(threshold) is None
        for number in range(20):  # as often as would have a statement prepared

            async def ask(connection: Connection, number: int = number) -> Any:
                return await (await connection.execute("SELECT %s::int", [number])).fetchone()

            assert await backend.do(ask) == (number,)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
