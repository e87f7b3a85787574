"""The contracts that are installed, by the endpoint's name: ours, and those of other people's endpoints."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from jan_core.discovery import import_name
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jan_core.testing.contract.clauses import Contract

GROUP = "jan.contracts"
"""The entry points of contracts, `package.module:Class`, by the name of an endpoint, or of a module with its own."""


def contract_of(endpoint: str, asked: str, found: Iterable[EntryPoint] | None = None) -> type[Contract] | None:
    """The contract of an endpoint; None where none is installed.

    Args:
        endpoint: its name.
        asked: what it is wanted for, for an error message.
        found: the entry points to look among; None for those that are installed.

    Raises:
        Refusal: two are installed, or it fails to import, or is no contract.
    """
    from jan_core.testing.contract.clauses import Contract

    known = entry_points(group=GROUP) if found is None else found
    named = {one.value: one for one in known if one.name == endpoint}  # one may be found twice along sys.path
    if not named:
        return None
    told = "; ".join(_answer(one) for one in named.values())
    if len(named) > 1:
        remedy = "Uninstall all but one of the packages that declare them."
        raise Refusal(asked, f"two contracts are installed for the endpoint {endpoint!r}", remedy, answers=told)
    (value,) = named
    try:
        contract = import_name(value)
    except Exception as error:
        remedy = "Reinstall the package, or mend the entry point in its pyproject.toml."
        raise Refusal(asked, f"the contract fails to import: {error!r}", remedy, answers=told) from error
    if not (isinstance(contract, type) and issubclass(contract, Contract)):
        remedy = "Let the entry point name a subclass of jan_core.testing.contract.clauses.Contract."
        raise Refusal(asked, f"{value} is no contract", remedy, answers=told)
    return contract


def _answer(entry: EntryPoint) -> str:
    distribution = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown distribution"
    return f"{distribution}, entry point {entry.name} = {entry.value} (group {GROUP})"
