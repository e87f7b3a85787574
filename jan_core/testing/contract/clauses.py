"""What a contract is: a class of numbered clauses, each a test that any implementation of an endpoint passes.

An author subclasses the endpoint's contract and writes `make`. Each clause gets an app of its own, on the module under
test, with every other endpoint in memory. A clause fails by an `AssertionError` only: whatever else an implementation
raises is told as the broken promise that it is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from jan_core.endpoint import Endpoint
from jan_core.errors import JanError
from jan_core.testing.contract.case import Broken, Case

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.testing.contract.lasting import Lasting

PATIENCE = 60.0
"""Seconds after which a clause counts as hanging."""
PROVEN, REFUSED = "proven", "refused"

_NAME = re.compile(r"test_(\d\d)_\w+")
_CLAUSE = "__jan_clause__"


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise of an endpoint.

    Attributes:
        number: as in `docs/contract/`.
        name: of the method.
        title: the promise in a sentence, the first line of its docstring.
        optional: the operation that it is about, where an implementation may leave that out.
        check: proves it.
    """

    number: int
    name: str
    title: str
    optional: str | None
    check: Callable[[Any, Any], Awaitable[None]]


@overload
def clause(check: Callable[..., Any], /) -> Any: ...
@overload
def clause(*, optional: str) -> Callable[[Callable[..., Any]], Any]: ...
def clause(check: Any = None, /, *, optional: str | None = None) -> Any:
    """Declare a clause: `async def test_07_what_it_is_about(self, case)` becomes a test that pytest collects.

    Args:
        check: the method. Its name has the clause's number, and its docstring begins with the promise.
        optional: the name of an optional operation. An implementation without it must answer `NotSupported`, and the
            clause counts as refused.

    Raises:
        TypeError: the name has no number, or there is no docstring.
    """
    if check is None:
        return lambda method: clause(method, optional=optional)  # type: ignore[call-overload]
    match = _NAME.fullmatch(check.__name__)
    if match is None or not check.__doc__:
        raise TypeError(f"a clause is named test_07_… and says its promise in its docstring; {check.__name__} does not")
    made = Clause(int(match[1]), check.__name__, check.__doc__.strip().splitlines()[0], optional, check)

    def test(self: Contract, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
        record_property("jan_clause_outcome", prove(self, made, tmp_path))

    # Not functools.wraps: pytest looks through it, at the arguments of the method.
    test.__name__, test.__qualname__ = check.__name__, check.__qualname__
    test.__module__, test.__doc__ = check.__module__, check.__doc__
    setattr(test, _CLAUSE, made)
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
    """

    endpoint: ClassVar[type[Endpoint]]
    letter: ClassVar[str]
    case: ClassVar[type[Case]] = Case
    lasting: ClassVar[bool] = False
    _kept: ClassVar[Lasting | None] = None

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
    ) -> Jan:
        """An app on one module, with every other endpoint in memory.

        Args:
            root: its root folder.
            module: the name of an installed module, or `package.module:attribute`.
            settings: the module's table of `jan.toml`.
            plugins: entry points of plugins to put around it, `name: "package.module:attribute"`.
            beside: endpoint to installed module, where another endpoint is not to be in memory.

        Raises:
            Refusal: it cannot be found, imported, configured or built.
        """
        from jan_core.testing.wired import one_module

        return one_module(root, self.endpoint.name, module, settings, plugins=plugins, beside=beside)

    @classmethod
    def clauses(cls) -> dict[str, Clause]:
        """The clauses by the name of their method, in the order of their numbers, those of all base classes."""
        found: dict[str, Clause] = {}
        for base in cls.__mro__:
            for name, value in vars(base).items():
                made = getattr(value, _CLAUSE, None)
                if made is not None:
                    found.setdefault(name, made)
        return dict(sorted(found.items(), key=lambda item: item[1].number))

    @classmethod
    def dropped(cls) -> list[str]:
        """What became of clauses that do not run as they stand, a sentence each. None of them may.

        A clause may be overridden by what is marked `xfail(strict=True, reason="…")`.
        """
        found = []
        for name, made in cls.clauses().items():
            now = getattr(cls, name, None)
            if getattr(now, _CLAUSE, None) is made or _fails_as_expected(now):
                continue
            what = "removed" if now is None else "overridden"
            found.append(
                f"{cls.__name__} has {what} the clause {name} ({made.title}). Keep it; or override it by a test marked "
                f'@pytest.mark.xfail(strict=True, reason="…") until it holds.'
            )
        return found


def prove(contract: Contract, made: Clause, folder: Path) -> str:
    """Prove one clause.

    Args:
        contract: the author's class, made.
        made: one of its clauses.
        folder: an empty folder.

    Returns:
        `PROVEN`; or `REFUSED`, where it is about an optional operation that the implementation rightly refuses.

    Raises:
        AssertionError: it does not hold.
    """

    async def run(case: Case | None) -> str:
        try:
            async with asyncio.timeout(PATIENCE):
                return await (_alone(contract, made, folder) if case is None else _outcome(contract, made, case))
        except TimeoutError:
            raise Broken(f"it still runs after {PATIENCE:.0f} seconds") from None
        except JanError as error:
            told = f"{type(error).__name__} ({error.status}, {error.code}): {error.message}"
            raise Broken(f"what must be answered was refused with {told}") from error

    if not contract.lasting:
        return asyncio.run(run(None))
    return _kept(contract).run(run)


def _kept(contract: Contract) -> Lasting:
    """The app that all clauses of the class share, opened by the first of them."""
    from jan_core.testing.contract.lasting import Lasting

    found: Lasting | None = type(contract).__dict__.get("_kept")
    if found is None:
        found = type(contract)._kept = Lasting(contract.opened)
    return found


async def _outcome(contract: Contract, made: Clause, case: Case) -> str:
    if made.optional is None or case.tested.supports(made.optional):
        await made.check(contract, case)
        return PROVEN
    await case.not_supported(made.optional)
    return REFUSED


async def _alone(contract: Contract, made: Clause, folder: Path) -> str:
    async with contract.opened(folder) as case:
        outcome = await _outcome(contract, made, case)
    rest = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    if rest:
        # What was told to end may need a turn or two for it.
        _, rest = await asyncio.wait(rest, timeout=1)
    if rest:
        raise Broken(f"tasks go on after the app was closed: {sorted(str(task.get_coro()) for task in rest)}")
    return outcome


def _fails_as_expected(function: Any) -> bool:
    marks = getattr(function, "pytestmark", [])
    return any(
        mark.name == "xfail" and mark.kwargs.get("strict") is True and mark.kwargs.get("reason") for mark in marks
    )
