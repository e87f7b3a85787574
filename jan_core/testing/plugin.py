"""What the contract kit adds to pytest: no clause is dropped in silence, and the run ends with a table.

pytest finds it by the entry point of `jan-core`. It does nothing in a run without contracts.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jan_core.testing.contract.clauses import Contract

_OF = "jan_clause_of"
_OUTCOME = "jan_clause_outcome"
_CONTRACTS = "jan_core.testing.contract.clauses"


def _contract(found: object) -> type[Contract] | None:
    """The class, where it is an author's contract. Nobody's is as long as nobody imported the kit."""
    kit = sys.modules.get(_CONTRACTS)
    if kit is not None and isinstance(found, type) and issubclass(found, kit.Contract):
        return found
    return None


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> Any:
    """Refuse a class that drops a clause."""
    made = yield
    contract = _contract(obj)
    if made is not None and contract is not None:
        dropped = contract.dropped()
        if dropped:
            raise collector.CollectError("\n".join(dropped))
    return made


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note whose clause a test is, and refuse marks that would pass one over."""
    for item in items:
        contract = _contract(getattr(item, "cls", None))
        made = contract.clauses().get(getattr(item, "originalname", item.name)) if contract is not None else None
        if contract is None or made is None:
            continue
        for mark in item.iter_markers():
            if mark.name in ("skip", "skipif"):
                raise pytest.UsageError(
                    f"{item.nodeid} is a clause of a contract, and is marked {mark.name}. No clause is passed over: "
                    f'mark it @pytest.mark.xfail(strict=True, reason="…") until it holds.'
                )
        item.user_properties.append(
            (_OF, [item.nodeid.rsplit("::", 1)[0], contract.endpoint.name, len(contract.clauses())])
        )


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Close the app that the clauses of a class share, after the last of them."""
    contract = _contract(getattr(item, "cls", None))
    if contract is not None and getattr(nextitem, "cls", None) is not contract:
        contract.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Write the table: of each contract, how many clauses are proven, refused, expected to fail and broken."""
    found: dict[tuple[str, str, int], Counter[str]] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            if _OF in properties and (report.when == "call" or outcome in ("error", "failed")):
                kind = {"passed": properties.get(_OUTCOME, "proven"), "xfailed": "expected"}.get(outcome, "broken")
                found.setdefault(tuple(properties[_OF]), Counter())[kind] += 1
    if found:
        terminalreporter.section("contracts")
        for line in _table(found.items()):
            terminalreporter.write_line(line)


def _table(found: Iterable[tuple[tuple[str, str, int], Counter[str]]]) -> list[str]:
    lines = [f"{'':<44} {'clauses':>8} {'proven':>8} {'refused':>8} {'expected to fail':>17} {'broken':>8}"]
    for (whose, endpoint, clauses), counts in sorted(found, key=lambda one: one[0]):
        name = f"{endpoint}: {whose.rsplit('::', 1)[-1]}"
        numbers = f"{counts['proven']:>8} {counts['refused']:>8} {counts['expected']:>17} {counts['broken']:>8}"
        rest = clauses - counts.total()
        lines.append(f"{name:<44} {clauses:>8} {numbers}" + (f"  ({rest} not run)" if rest else ""))
    return lines
