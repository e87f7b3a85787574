"""What the contract kit adds to pytest: no clause is dropped in silence, and the run ends with a table.

pytest finds it by the entry point of `jan-core`. It does nothing in a run without contracts.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from jan_core.testing import dropping

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from jan_core.testing.contract.clauses import Clause, Contract

_OF = "jan_clause_of"
_LACKS = "jan_clause_lacks"
_NEWER = "jan_clause_newer"
_OUTCOME = "jan_clause_outcome"
_CONTRACTS = "jan_core.testing.contract.clauses"
_FOUND: pytest.StashKey[dict[type[Contract], None]] = pytest.StashKey()
"""The contracts that are collected, in order."""
_CLAUSES: pytest.StashKey[dict[str, list[Any]]] = pytest.StashKey()
"""The clauses that are to run, by pytest's name of each, with the value of `_OF`."""
_DONE: pytest.StashKey[set[str]] = pytest.StashKey()
"""Those that have a result."""
_IGNORED: pytest.StashKey[list[str]] = pytest.StashKey()
"""What is told of files of contracts that a setting keeps from being collected."""
_TOLD: pytest.StashKey[list[str]] = pytest.StashKey()
"""Why a run fails that seems well."""


class _Results:
    """Notes which clauses have a result.

    Args:
        done: where their names are put.
    """

    def __init__(self, done: set[str]) -> None:
        self._done = done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            self._done.add(report.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to note what has a result."""
    config.stash[_CLAUSES] = {}
    config.stash[_DONE] = set()
    config.stash[_IGNORED] = []
    config.pluginmanager.register(_Results(config.stash[_DONE]), "jan-contracts-results")


def _contract(found: object) -> type[Contract] | None:
    """The class, where it is an author's contract. Nobody's is as long as nobody imported the kit."""
    kit = sys.modules.get(_CONTRACTS)
    if kit is not None and isinstance(found, type) and issubclass(found, kit.Contract):
        return found
    return None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> Any:
    """Note a file of a contract that a setting, or a `conftest.py`, keeps from being collected."""
    ignored = yield
    if ignored:
        config.stash[_IGNORED] += dropping.of_ignored(config, collection_path)
    return ignored


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Refuse a class that drops a clause."""
    made = yield
    contract = _contract(obj)
    if contract is not None:
        told = dropping.of_class(contract, made)
        if told:
            raise collector.CollectError("\n".join(told))
        if made is not None:
            collector.config.stash.setdefault(_FOUND, {})[contract] = None
    return made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Any:
    """Put clauses in the order of their numbers; note whose each is, and refuse marks that would pass one over.

    The former before all other hooks, which may mix them; the latter after all, whatever they mark.
    """
    _order(items)
    result = yield
    for item in items:
        contract, made = _clause(item)
        if contract is None or made is None:
            continue
        told = dropping.of_mark(item)
        if told:
            _refuse(item.config, item.nodeid, told)
        lacks = contract.missing.get(made.number)
        if lacks is not None and not list(item.iter_markers("xfail")):
            number = f"{contract.letter}{made.number:02}"
            # The reason is also what pytest says on the day the clause holds.
            reason = f"{number} is missing: {lacks} (once it holds, take {made.number} out of `missing`)"
            item.add_marker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))
            item.user_properties.append((_LACKS, [number, lacks]))
        item.user_properties.append(
            (_OF, [item.nodeid.rsplit("::", 1)[0], contract.endpoint.name, len(contract.clauses())])
        )
    return result


def _clause(item: pytest.Item) -> tuple[type[Contract] | None, Clause | None]:
    """The contract that a test belongs to, and the clause that it is."""
    contract = _contract(getattr(item, "cls", None))
    if contract is None:
        return None, None
    return contract, contract.clauses().get(getattr(item, "originalname", item.name))


def _order(items: list[pytest.Item]) -> None:
    """Sort the clauses of each contract by number, in the places that they have: pytest goes by the base classes."""
    places: dict[type[Contract], list[tuple[int, int]]] = {}
    for place, item in enumerate(items):
        contract, made = _clause(item)
        if contract is not None and made is not None:
            places.setdefault(contract, []).append((made.number, place))
    for found in places.values():
        ordered = [items[place] for _, place in sorted(found)]
        for (_, place), item in zip(found, ordered, strict=True):
            items[place] = item


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a run that somebody took clauses out of, other than by choosing what to run."""
    for told in session.config.stash[_IGNORED]:
        _refuse(session.config, session.nodeid, told)
    found = session.config.stash.get(_FOUND, None) or {}
    for told in dropping.of_run(session.config, found, session.items):
        _refuse(session.config, session.nodeid, told)
    for item in session.items:
        properties = dict(item.user_properties)
        if _OF in properties:
            session.config.stash[_CLAUSES][item.nodeid] = list(properties[_OF])  # type: ignore[call-overload]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what one of several processes has collected."""
    clauses = (getattr(node, "workeroutput", None) or {}).get(_OF, {})
    node.config.stash[_CLAUSES].update(clauses)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that seems well, and in which a clause has no result."""
    config = session.config
    clauses = config.stash[_CLAUSES]
    if hasattr(config, "workeroutput"):  # one of several processes: another one has all results
        config.workeroutput[_OF] = clauses
    elif session.exitstatus == pytest.ExitCode.OK:
        done = config.stash[_DONE]
        told = dropping.of_session(config, clauses, done)
        if told:
            config.stash[_TOLD] = told
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _refuse(config: pytest.Config, where: str, told: str) -> None:
    """Have the collection fail, also where it is done by one of several processes: raised, it would be lost there."""
    config.hook.pytest_collectreport(report=pytest.CollectReport(where, "failed", told, []))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Fail a clause that got round being proven."""
    report = yield
    properties = dict(item.user_properties)
    if _OF in properties:
        newer = _NEWER in properties
        told = dropping.of_report(item, call, report, proven=_OUTCOME in properties, newer=newer)
        if told:
            vars(report).pop("wasxfail", None)
            report.outcome, report.longrepr = "failed", told
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Close the app that the clauses of a class share, after the last of them."""
    contract = _contract(getattr(item, "cls", None))
    if contract is not None and getattr(nextitem, "cls", None) is not contract:
        contract.close()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Write the table: of each contract, how many clauses are proven, refused, expected to fail and broken.

    Below it stands what the contracts' `missing` says, clause by clause, what stands there and holds now, and which
    clauses do not hold that are newer than the module: only where there are such, the table has columns for them.
    """
    found: dict[tuple[str, str, int], Counter[str]] = {}
    if not config.getoption("collectonly"):
        found = {(of[0], of[1], of[2]): Counter() for of in config.stash[_CLAUSES].values()}
    lacking: dict[tuple[str, str, int], dict[str, str]] = {}
    newer: dict[tuple[str, str, int], dict[str, str]] = {}
    held: dict[tuple[str, str, int], dict[str, str]] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if not isinstance(report, pytest.TestReport):  # a clause that was deselected stands there itself
                continue
            properties: dict[str, Any] = dict(report.user_properties)
            if _OF in properties and (report.when == "call" or outcome in ("error", "failed")):
                expected = "newer" if _NEWER in properties else "expected"
                kind = {"passed": properties.get(_OUTCOME, "proven"), "xfailed": expected}.get(outcome, "broken")
                if outcome == "failed" and _LACKS in properties and _OUTCOME in properties and report.when == "call":
                    kind = "holds now"
                    number, what = properties[_LACKS]
                    held.setdefault(tuple(properties[_OF]), {})[number] = what
                found.setdefault(tuple(properties[_OF]), Counter())[kind] += 1
                if kind == "newer":
                    number, what = properties[_NEWER]
                    newer.setdefault(tuple(properties[_OF]), {})[number] = what
                if kind == "expected" and _LACKS in properties:
                    number, what = properties[_LACKS]
                    lacking.setdefault(tuple(properties[_OF]), {})[number] = what
    if found:
        terminalreporter.section("contracts")
        for line in _table(found.items()):
            terminalreporter.write_line(line)
    holds_now = "hold now, which fails the run: take them out of `missing` in"
    for title, told in (("missing in", lacking), (holds_now, held), ("newer than", newer)):
        for (whose, endpoint, _), clauses in sorted(told.items()):
            terminalreporter.write_line(f"{title} {endpoint}: {whose.rsplit('::', 1)[-1]}")
            for number, what in sorted(clauses.items()):
                terminalreporter.write_line(f"  {number} {what}")
    for sentence in config.stash.get(_TOLD, []):
        terminalreporter.write_line(sentence, red=True)


def _table(found: Iterable[tuple[tuple[str, str, int], Counter[str]]]) -> list[str]:
    rows = sorted(found, key=lambda one: one[0])
    kinds = {"proven": 8, "refused": 8, "expected": 17, "newer": 8, "holds now": 10, "broken": 8}
    for kind in ("newer", "holds now"):
        if not any(counts[kind] for _, counts in rows):
            del kinds[kind]
    titles = [{"expected": "expected to fail"}.get(kind, kind).rjust(width) for kind, width in kinds.items()]
    lines = [" ".join([f"{'':<44} {'clauses':>8}", *titles])]
    for (whose, endpoint, clauses), counts in rows:
        name = f"{endpoint}: {whose.rsplit('::', 1)[-1]}"
        numbers = [f"{counts[kind]:>{width}}" for kind, width in kinds.items()]
        rest = clauses - counts.total()
        lines.append(" ".join([f"{name:<44} {clauses:>8}", *numbers]) + (f"  ({rest} not run)" if rest else ""))
    return lines
