"""Migrations: plain SQL files of each package, applied once and in order, forwards only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jan_postgresql.database import Connection, Unfit

LOCK = 0x6A616E
"""The advisory lock that one migration at a time holds."""
OWN = "jan_postgresql"
"""The package of the backend's own migrations, which come first."""

# Not to_regclass: a session that asked before the table was made remembers that there is none, and after it has waited
# for the lock says so again.
_IS_THERE = """SELECT FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'jan' AND relname = 'migrations'"""
_FILE = re.compile(r"(\d{4})_\w+\.sql")
_INCLUDE = re.compile(r"^-- include (\w+)/(\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """A file.

    Attributes:
        owner: the distribution it belongs to, such as `messages-postgresql`.
        number: its place among those of its owner, from 1.
        name: of the file.
        text: what is in it.
    """

    owner: str
    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """Tells whether a file is the one that was applied."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> str:
        """What is applied: the file, and in the place of each line `-- include package/file` that file of a package.

        What is included is not in the digest: its package may word it anew, and whoever pins it looks what it makes.
        """
        return _INCLUDE.sub(lambda found: files(found[1]).joinpath(found[2]).read_text("utf-8"), self.text)


@dataclass(frozen=True, slots=True)
class State:
    """What a database has of the migrations there are.

    Attributes:
        applied: as `(owner, name, when)`, in the order of their application.
        pending: those that are to be applied, in order.
        unknown: applied ones that no file here has: a newer version was here. `(owner, name)`.
    """

    applied: Sequence[tuple[str, str, str]]
    pending: Sequence[Migration]
    unknown: Sequence[tuple[str, str]]


def migrations_of(owner: str, package: str) -> list[Migration]:
    """The files in the folder `migrations` of a package: `0001_what_it_does.sql`, and so on without a gap.

    Raises:
        ValueError: a name is of another form, or a number is missing or there twice.
    """
    found = []
    for file in files(package).joinpath("migrations").iterdir():
        if not file.name.endswith(".sql"):
            continue
        match = _FILE.fullmatch(file.name)
        if match is None:
            raise ValueError(f"{package}/migrations/{file.name}: a migration is named 0001_what_it_does.sql")
        found.append(Migration(owner, int(match[1]), file.name, file.read_text("utf-8")))
    found.sort(key=lambda one: one.number)
    if [one.number for one in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"{package}/migrations: the numbers are not 1, 2, 3, … without a gap")
    return found


async def state_of(connection: Connection, wanted: Iterable[Migration]) -> State:
    """Compare the files with what was applied. Nothing is changed.

    Raises:
        Unfit: a file that was applied is another one now.
    """
    there = await (await connection.execute(_IS_THERE, prepare=False)).fetchone()
    rows = []
    if there is not None:
        query = "SELECT owner, number, name, digest, at::text FROM jan.migrations ORDER BY at, owner, number"
        rows = await (await connection.execute(query, prepare=False)).fetchall()
    applied = {(row[0], row[1]): row for row in rows}
    pending = []
    names = set()
    for one in wanted:
        names.add((one.owner, one.number))
        row = applied.get((one.owner, one.number))
        if row is None:
            pending.append(one)
        elif row[3] != one.digest:
            raise Unfit(
                f"the migration {one.name} of {one.owner} is not the one that was applied on {row[4]}",
                "Install a published version of that package; migrations are never changed afterwards.",
            )
    unknown = [(row[0], row[2]) for key, row in applied.items() if key not in names]
    return State([(row[0], row[2], row[4]) for row in rows], pending, unknown)


async def migrate(connection: Connection, wanted: Sequence[Migration]) -> list[Migration]:
    """Apply what is pending, each file in a transaction of its own, and return what was applied here.

    Others that do the same wait for the lock, and find it done. A process that is killed leaves whole migrations.

    Raises:
        Unfit: see `state_of`; or the role may not make tables.
        psycopg.Error: a file cannot be applied.
    """
    done: list[Migration] = []
    while True:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK], prepare=False)
            state = await state_of(connection, wanted)
            if not state.pending:
                return done
            one = state.pending[0]
            await connection.execute(one.statements.encode(), prepare=False)
            await connection.execute(
                "INSERT INTO jan.migrations (owner, number, name, digest) VALUES (%s, %s, %s, %s)",
                [one.owner, one.number, one.name, one.digest],
                prepare=False,
            )
            done.append(one)
