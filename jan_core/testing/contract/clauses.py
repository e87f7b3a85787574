"""What a contract is: a class of numbered clauses, each a test that any implementation of an endpoint passes.

An author subclasses the endpoint's contract and writes `make`. Each clause gets an app of its own, on the module under
test, with every other endpoint in memory. A clause fails by an `AssertionError` only: whatever else an implementation
raises is told as the broken promise that it is.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from jan_core.endpoint import Endpoint
from jan_core.errors import JanError
from jan_core.testing.contract.case import Broken, Case

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.models import ModelLocation
    from jan_core.testing.contract.lasting import Lasting
    from jan_core.testing.contract.watch import Watch

PATIENCE = 60.0
"""Seconds after which a clause counts as hanging."""
PROVEN, REFUSED, NEWER = "proven", "refused", "newer"
PLUGIN = "jan_core.testing.plugin"
"""What sees to it, in a run of pytest, that no clause is dropped."""
SWITCHED_OFF = (
    "pytest runs without the plugin jan-contracts, which sees to it that no clause is dropped. Take "
    "`-p no:jan-contracts` out of addopts, or PYTEST_DISABLE_PLUGIN_AUTOLOAD out of the environment."
)
FIRST = "0.1"
"""The version of jan-core whose contracts were the first."""

_NAME = re.compile(r"test_(\d\d)_\w+")
_CLAUSE = "__jan_clause__"
_DECLARED: dict[Clause, Callable[..., None]] = {}
"""The test of each clause, as pytest has to find it."""
_OWN: dict[type[Contract], list[Clause]] = {}
"""The clauses that each class declares."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise of an endpoint.

    Attributes:
        number: as in `docs/contract/`.
        name: of the method.
        title: the promise in a sentence, the first line of its docstring.
        optional: the operation that it is about, where an implementation may leave that out.
        since: the minor version of jan-core that it came with.
        stored: whether it is about what outlives a process.
        check: proves it.
    """

    number: int
    name: str
    title: str
    optional: str | None
    since: str
    stored: bool
    check: Callable[[Any, Any], Awaitable[None]]


class Puzzled(Broken):
    """What was answered is so far from right that a clause stumbles over it instead of telling what is wrong."""


class Newer(AssertionError):
    """A clause does not hold that came with a later jan-core than the one the module declares to be built for."""


@overload
def clause(check: Callable[..., Any], /) -> Any: ...
@overload
def clause(
    *, optional: str | None = None, since: str = FIRST, stored: bool = False
) -> Callable[[Callable[..., Any]], Any]: ...
def clause(check: Any = None, /, *, optional: str | None = None, since: str = FIRST, stored: bool = False) -> Any:
    """Declare a clause: `async def test_07_what_it_is_about(self, case)` becomes a test that pytest collects.

    Args:
        check: the method. Its name has the clause's number, and its docstring begins with the promise.
        optional: the name of an optional operation. An implementation without it must answer `NotSupported`, and the
            clause counts as refused.
        since: the minor version of jan-core that the clause comes with, such as `0.2`. It binds the modules whose
            requirement on jan-core begins there or later. For an older one it is run all the same; where it does not
            hold it counts as newer, and does not fail the run.
        stored: True: it is about what outlives a process. An implementation that says it is `in_memory` does not do
            that, and the clause counts as refused.

    Raises:
        TypeError: the name has no number, or there is no docstring.
    """
    if check is None:
        return lambda method: clause(method, optional=optional, since=since, stored=stored)  # type: ignore[call-overload]
    if sys.flags.optimize > 1:
        raise TypeError("Python runs with -OO, which drops docstrings, and clauses have their promises there")
    match = _NAME.fullmatch(check.__name__)
    if match is None or not check.__doc__:
        raise TypeError(f"a clause is named test_07_… and says its promise in its docstring; {check.__name__} does not")
    made = Clause(int(match[1]), check.__name__, check.__doc__.strip().splitlines()[0], optional, since, stored, check)

    proving = prove  # as it is now: nobody puts another one in its place later

    def test(self: Contract, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
        if PLUGIN not in sys.modules:
            raise AssertionError(SWITCHED_OFF)
        try:
            record_property("jan_clause_outcome", proving(self, made, tmp_path))
        except Newer as newer:
            import pytest

            record_property("jan_clause_outcome", NEWER)
            record_property("jan_clause_newer", [f"{self.letter}{made.number:02}", str(newer)])
            pytest.xfail(str(newer))

    # Not functools.wraps: pytest looks through it, at the arguments of the method.
    test.__name__, test.__qualname__ = check.__name__, check.__qualname__
    test.__module__, test.__doc__ = check.__module__, check.__doc__
    setattr(test, _CLAUSE, made)
    _DECLARED[made] = test
    return test


class Contract:
    """A contract. Subclass the one of your endpoint and write `make`:

        class TestMessagesSqlite(MessagesContract):
            def make(self, tmp_path):
                return self.app(tmp_path, "messages-sqlite")

    Attributes:
        endpoint: the class whose promises these are.
        letter: stands before the clauses' numbers.
        lasting: True where all clauses are proven on one app, one after another, because opening one takes long (an
            engine that loads a model). Only where the clauses leave the app as it was.
        missing: the numbers of clauses that do not hold yet, each with what is missing. They are run, and have to
            fail: the day one holds, the run fails until its entry is gone.
        live: what looks at the operations of a running app under `jan serve --check`, by name. An operation without an
            entry gets what `Watch` looks at.
    """

    endpoint: ClassVar[type[Endpoint]]
    letter: ClassVar[str]
    case: ClassVar[type[Case]] = Case
    lasting: ClassVar[bool] = False
    missing: ClassVar[Mapping[int, str]] = {}
    live: ClassVar[Mapping[str, type[Watch]]] = {}
    _kept: ClassVar[Lasting | None] = None

    def __init_subclass__(cls, **more: Any) -> None:
        """Note the clauses of the class as they are declared, whatever becomes of its attributes."""
        super().__init_subclass__(**more)
        known = {made for base in cls.__mro__ for made in _OWN.get(base, ())}
        found = [getattr(value, _CLAUSE, None) for value in vars(cls).values()]
        _OWN[cls] = [made for made in found if made in _DECLARED and made not in known]

    def make(self, tmp_path: Path) -> Jan:
        """Build an app with the module under test, not yet entered.

        Called again with the same folder, it gives what another process on the same storage would be.

        Args:
            tmp_path: a folder for the root, which need not exist; the same for the same storage.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method make(self, tmp_path)")

    def opened(self, folder: Path) -> Case:
        """The case of a clause, not yet entered. For subclasses, which may tell it more."""
        return self.case(self.make, self.endpoint.name, folder)

    @classmethod
    def close(cls) -> None:
        """Close the app that lasts, where there is one; pytest's plugin calls it after the last test of the class."""
        kept, cls._kept = cls.__dict__.get("_kept"), None
        if kept is not None:
            kept.close()

    def app(
        self,
        root: Path,
        module: str,
        settings: Mapping[str, Any] | None = None,
        *,
        plugins: Mapping[str, str] = {},
        beside: Mapping[str, str] = {},
        model: ModelLocation | None = None,
        tables: Mapping[str, Mapping[str, Any]] = {},
    ) -> Jan:
        """An app on one module, with every other endpoint in memory.

        Args:
            root: its root folder.
            module: the name of an installed module, or `package.module:attribute`.
            settings: the module's table of `jan.toml`.
            plugins: entry points of plugins to put around it, `name: "package.module:attribute"`.
            beside: endpoint to installed module, where another endpoint is not to be in memory.
            model: the model that an engine runs, instead of the scripted one; the only one that there is.
            tables: further tables of `jan.toml`, such as that of a backend.

        Raises:
            Refusal: it cannot be found, imported, configured or built.
        """
        from jan_core.testing.wired import one_module

        return one_module(
            root, self.endpoint.name, module, settings, plugins=plugins, beside=beside, model=model, tables=tables
        )

    @classmethod
    def clauses(cls) -> dict[str, Clause]:
        """The clauses by the name of their method, in the order of their numbers, those of all base classes."""
        found: dict[str, Clause] = {}
        for base in cls.__mro__:
            for made in _OWN.get(base, ()):
                found.setdefault(made.name, made)
        return dict(sorted(found.items(), key=lambda item: item[1].number))

    @classmethod
    def dropped(cls) -> list[str]:
        """What became of clauses that do not run as they stand, a sentence each. None of them may.

        A clause may be overridden by what is marked `xfail(strict=True, reason="…")`.
        """
        found = _declared_twice(cls)
        for name, made in cls.clauses().items():
            now = getattr(cls, name, None)
            if now is _DECLARED[made] or _fails_as_expected(now):
                continue
            what = "removed" if now is None else "overridden"
            found.append(
                f"{cls.__name__} has {what} the clause {name} ({made.title}). Keep it; or override it by a test marked "
                f'@pytest.mark.xfail(strict=True, reason="…") until it holds.'
            )
        # What is nobody's to change is what the class says that the clauses are from.
        of = next((base for base in cls.__mro__ if _OWN.get(base)), cls)
        for name in ("endpoint", "letter", "case", "opened", "clauses", "dropped", "close"):
            if inspect.getattr_static(cls, name) is not inspect.getattr_static(of, name):
                found.append(f"{cls.__name__} sets {name}, by which the clauses of {of.__name__} would be others.")
        numbers = {made.number for made in cls.clauses().values()}
        missing: Any = cls.missing
        if not isinstance(missing, Mapping):
            wanted = 'has to be a dict of clauses\' numbers, each with what is missing: missing = {3: "…"}'
            found.append(f"{cls.__name__}.missing is {missing!r}, and {wanted}.")
            missing = {}
        for number, what in missing.items():
            if number not in numbers:
                found.append(f"{cls.__name__}.missing has {number!r}, which is no clause's number. Take it out.")
            elif not isinstance(what, str) or not what.strip():
                found.append(f"{cls.__name__}.missing[{number}] has to say in words what is missing.")
        return found


def prove(contract: Contract, made: Clause, folder: Path) -> str:
    """Prove one clause.

    Args:
        contract: the author's class, made.
        made: one of its clauses.
        folder: an empty folder.

    Returns:
        `PROVEN`; or `REFUSED`, where it is about an optional operation that the implementation rightly refuses, or
        about what outlives a process, and the implementation says that it keeps nothing so.

    Raises:
        AssertionError: it does not hold; `Newer`, where the module was built before there was this clause.
    """

    async def run(case: Case) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                return await (_outcome if contract.lasting else _alone)(contract, made, case)
        except TimeoutError:
            raise Broken(f"it still runs after {PATIENCE:.0f} seconds") from None
        except JanError as error:
            told = f"{type(error).__name__} ({error.status}, {error.code}): {error.message}"
            raise Broken(f"what must be answered was refused with {told}") from error

    kept = _kept(contract) if contract.lasting else None
    case = contract.opened(folder) if kept is None else kept.case
    try:
        return asyncio.run(run(case)) if kept is None else kept.run(run)
    except AssertionError as error:
        if made.since == FIRST or not case.built_before(made.since):
            raise
        why, *_ = str(error).splitlines() or ["it does not hold"]
        raise Newer(f"came with jan-core {made.since}, after this module was built: {why}") from error


def _kept(contract: Contract) -> Lasting:
    """The app that all clauses of the class share, opened by the first of them."""
    from jan_core.testing.contract.lasting import Lasting

    found: Lasting | None = type(contract).__dict__.get("_kept")
    if found is None:
        found = type(contract)._kept = Lasting(contract.opened)
    return found


async def _outcome(contract: Contract, made: Clause, case: Case) -> str:
    if made.stored and case.tested.in_memory:
        return REFUSED
    if made.optional is None or case.tested.supports(made.optional):
        try:
            await made.check(contract, case)
        except (AssertionError, JanError, TimeoutError):
            raise
        except Exception as error:
            raise Puzzled(f"what was answered is not what the clause can look at: {error!r}") from error
        return PROVEN
    await case.not_supported(made.optional)
    return REFUSED


async def _alone(contract: Contract, made: Clause, case: Case) -> str:
    async with case:
        outcome = await _outcome(contract, made, case)
    rest = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    if rest:
        # What was told to end may need a turn or two for it.
        _, rest = await asyncio.wait(rest, timeout=1)
    if rest:
        raise Broken(f"tasks go on after the app was closed: {sorted(str(task.get_coro()) for task in rest)}")
    return outcome


def _declared_twice(contract: type[Contract]) -> list[str]:
    """Clauses of one name or number, a sentence each: the later one would take the place of the other."""
    found: list[str] = []
    names: dict[str, str] = {}
    numbers: dict[int, str] = {}
    for base in reversed(contract.__mro__):
        for made in _OWN.get(base, ()):
            first = names.get(made.name) or numbers.get(made.number)
            if first is not None:
                found.append(
                    f"{base.__name__} declares the clause {made.name} ({made.title}), and {first} is there already. "
                    "Each clause has a name and a number of its own, and nothing takes its place: give the new one "
                    "others, or override the old one by a test without @clause that is marked "
                    '@pytest.mark.xfail(strict=True, reason="…") until it holds.'
                )
            names.setdefault(made.name, f"{base.__name__}.{made.name}")
            numbers.setdefault(made.number, f"{base.__name__}.{made.name}")
    return found


def _fails_as_expected(function: Any) -> bool:
    marks = getattr(function, "pytestmark", [])
    return any(
        mark.name == "xfail" and mark.kwargs.get("strict") is True and mark.kwargs.get("reason") for mark in marks
    )
