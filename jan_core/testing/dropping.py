"""The ways in which a clause could be passed over, each told in a sentence: what pytest's plugin of the kit looks for.

A clause counts as proven only by having run to its end. Whatever keeps it from that (a skip raised by `make` or by a
fixture, a hook that calls it in no way, an `xfail` at runtime) fails it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from pathlib import Path

    from jan_core.testing.contract.clauses import Contract

MEND = 'Mark it @pytest.mark.xfail(strict=True, reason="…") until it holds, which runs it all the same.'


def of_class(contract: type[Contract], found: object) -> list[str]:
    """What a class does to its clauses, a sentence each.

    Args:
        contract: the class.
        found: what pytest makes of it; None where it takes it for no tests.
    """
    from jan_core.testing.contract.clauses import Contract

    if getattr(contract, "__test__", True) is False:
        return [f"{contract.__name__} is a contract, and says __test__ = False. Take that out, or the class."]
    if found is None:
        return []
    if not __debug__:
        return [f"Python runs with -O or PYTHONOPTIMIZE, which drops assertions. Prove {contract.__name__} without it."]
    # Not a `dropped` that the class brings itself.
    told: list[str] = inspect.getattr_static(Contract, "dropped").__func__(contract)
    for name in ("__init__", "__new__"):
        if getattr(contract, name) is not getattr(object, name):
            told.append(f"{contract.__name__} has {name}, with which pytest takes no test from it. Take it out.")
    return told


def of_mark(item: pytest.Item) -> str:
    """What the marks of a clause would do to it, in a sentence; empty where nothing."""
    for mark in item.iter_markers():
        if mark.name in ("skip", "skipif"):
            return (
                f"{item.nodeid} is a clause of a contract, and is marked {mark.name}. No clause is passed over. {MEND}"
            )
        if mark.name == "xfail" and not strictly(mark):
            return f"{item.nodeid} is a clause of a contract, and may fail without being noticed. {MEND}"
    return ""


def strictly(mark: pytest.Mark) -> bool:
    """Whether a mark `xfail` runs the test, expects it to fail in every case, and says why."""
    told = mark.kwargs
    always = not mark.args and told.get("condition", True) is True and told.get("run", True) is True
    return always and told.get("strict") is True and bool(told.get("reason"))


def of_report(item: pytest.Item, call: Any, report: pytest.TestReport, *, proven: bool, newer: bool) -> str:
    """How a clause has got round being proven, in a sentence; empty where it has not.

    Args:
        item: the clause.
        call: what pytest knows of its run.
        report: what pytest makes of it.
        proven: whether it has run to its end.
        newer: whether it is one that does not bind the module.
    """
    if report.skipped and not newer:
        raised = call.excinfo.value if call.excinfo is not None else None
        if isinstance(raised, pytest.xfail.Exception):
            return f"pytest.xfail() was called ({raised}), so that the clause may fail without being noticed. {MEND}"
        if not hasattr(report, "wasxfail"):
            return f"the clause was passed over ({raised}), and no clause is. {MEND}"
    if report.passed and report.when == "call" and not proven:
        return f"the clause was not run, and counts as passed. {MEND}"
    return ""


def of_ignored(config: pytest.Config, path: Path) -> list[str]:
    """What is wrong with a file not being collected, in a sentence.

    Nothing, where a person asked for that on the command line, or no contract is in it.

    Args:
        config: of the run.
        path: what is ignored.
    """
    asked = on_command_line(config)
    if path.suffix != ".py" or asked.get("ignore") or asked.get("ignore_glob") or not path.is_file():
        return []
    if "jan_core.testing.contract" not in path.read_text("utf-8", "replace"):
        return []
    return [
        f"{path.name} has to do with a contract, and a setting (addopts, collect_ignore) keeps it from being "
        f"collected. No clause is passed over. {MEND}"
    ]


def of_run(config: pytest.Config, contracts: Iterable[type[Contract]], items: Iterable[pytest.Item]) -> list[str]:
    """Clauses that are not in a run that nobody narrowed down on the command line, a sentence for each contract.

    Args:
        config: of the run.
        contracts: the classes that were found.
        items: the tests that are to run.
    """
    asked = on_command_line(config)
    chosen = any(asked.get(name) for name in ("keyword", "markexpr", "deselect", "lf", "stepwise"))
    if chosen or any("::" in argument for argument in asked.get("file_or_dir") or ()):
        return []
    there: dict[object, set[str]] = {}
    for item in items:
        there.setdefault(getattr(item, "cls", None), set()).add(getattr(item, "originalname", item.name))
    told = []
    for contract in contracts:
        rest = sorted(contract.clauses().keys() - there.get(contract, set()))
        if rest:
            few = ", ".join(rest[:3]) + (f" and {len(rest) - 3} more" if len(rest) > 3 else "")
            told.append(
                f"{contract.__name__}: {few} of its clauses were taken out of the run, by a hook or a setting. "
                f"No clause is passed over. {MEND}"
            )
    return told


def of_session(config: pytest.Config, clauses: Iterable[str], done: Container[str]) -> list[str]:
    """Clauses that were collected and have no result at the end of a run that seems well, in a sentence.

    Args:
        config: of the run.
        clauses: the names of those that were collected, as pytest has them.
        done: the names of those that have a result.
    """
    rest = [name.rsplit("::", 1)[-1] for name in clauses if name not in done]
    asked = on_command_line(config)
    if not rest or any(asked.get(name) for name in ("collectonly", "setuponly", "setupplan")):
        return []
    few = ", ".join(rest[:3]) + (f" and {len(rest) - 3} more" if len(rest) > 3 else "")
    return [
        f"Clauses without a result: {few}. A hook, a setting or pytest.exit() kept them from being run. "
        "No clause is passed over. Take that out, or choose what to run on the command line."
    ]


def on_command_line(config: pytest.Config) -> Mapping[str, Any]:
    """The options that a person gave, without those of a file of settings or the environment."""
    # There is no public way to parse the one without the other.
    return vars(config._parser.parse_known_args([*config.invocation_params.args]))
