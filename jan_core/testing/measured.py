"""Which clauses of a contract do not hold yet, found out by running all of them: `python -m jan_core.testing.measured`.

For a module that is only begun: what it lacks becomes the `missing` of its contract.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
import tempfile
from pathlib import Path

from jan_core.testing.contract.clauses import Contract, prove


def measure(contract: type[Contract], folder: Path) -> dict[int, str]:
    """Run every clause, whatever `missing` says.

    Args:
        contract: an author's class.
        folder: an empty folder for their roots.

    Returns:
        The numbers of the clauses that do not hold, with what they promise.

    Raises:
        Exception: an app cannot be built, or the kit failed: what no clause may end with.
    """
    found: dict[int, str] = {}
    try:
        for made in contract.clauses().values():
            try:
                prove(contract(), made, folder / f"{made.number:02}")
            except AssertionError:
                found[made.number] = made.title
    finally:
        contract.close()
    return found


def contract_in(file: Path) -> type[Contract]:
    """The author's class in a file of tests.

    Raises:
        LookupError: there is none.
    """
    spec = importlib.util.spec_from_file_location("measured_contract", file)
    if spec is None or spec.loader is None:
        raise LookupError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for one in vars(module).values():
        if isinstance(one, type) and issubclass(one, Contract) and one.__module__ == module.__name__:
            return one
    raise LookupError(f"{file} has no contract")


def main(file: str) -> int:
    """Measure the contract in a file of tests, and print it as JSON; what went wrong in a line, on standard error."""
    logging.disable()  # of what is not written yet, the log tells nothing new
    try:
        with tempfile.TemporaryDirectory(prefix="jan-new-") as folder:
            found = measure(contract_in(Path(file)), Path(folder))
    except Exception as error:  # whatever an author's class does
        print(f"{type(error).__name__}: {'; '.join(str(error).splitlines())}", file=sys.stderr)
        return 1
    finally:
        logging.disable(logging.NOTSET)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
