"""`jan check`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Root, config_from
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from jan_core.config import Config

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

GROUP = "jan.contracts"
"""The entry points of contracts: an endpoint's name to `package.module:Class`."""
PLUGIN = "jan_core.testing.plugin"
"""What the kit adds to pytest, which mostly finds it by itself."""


@app.command()
def check(
    module: Annotated[str, typer.Argument(help="The name of an installed module.")],
    only: Annotated[
        str | None, typer.Option("--only", "-k", help="Which clauses, as pytest takes it: 07 or 08.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Show all that pytest knows of a clause that does not hold.")
    ] = False,
    root: Root = None,
    config: ConfigFile = None,
) -> None:
    """Run the contract of an installed module: every clause, and a table of what it keeps.

    Each clause works in a folder of its own. A module that keeps its data elsewhere takes its settings from the table
    of its name in the file given with --config, and nowhere else: name a database there that may be filled and emptied.
    Exit status 1 if a clause does not hold.
    """
    read = config_from(root, config)
    if find_spec("pytest") is None:
        remedy = 'pip install "jan-core[testing]"'
        raise Refusal(f"jan check {module}", "the contracts run on pytest, which is not installed", remedy)
    contracts = contracts_of(read, module, settings=config is not None)
    settings = {key: value.value for key, value in read.tables.get(module, {}).items()} if config is not None else {}
    code = run({"module": module, "settings": settings, "contracts": contracts}, only, whole)
    if code:
        raise typer.Exit(1)


def contracts_of(config: Config, module: str, *, settings: bool = False) -> dict[str, str]:
    """The contracts that a module has to keep, by endpoint.

    Args:
        config: what the command was given.
        module: the module's name.
        settings: look at its table in the config, too.

    Raises:
        Refusal: it is not installed or fails to import, none of its endpoints has a contract, or its settings are bad.
    """
    from jan_core.discovery import Discovery

    asked = f"jan check {module}"
    discovery = Discovery(config)
    chosen = discovery.load("modules", module, asked)
    if settings:
        discovery.settings(chosen)
    known = {one.name: one.value for one in entry_points(group=GROUP)}
    served = [name for name in discovery.endpoints if hasattr(chosen.plugin, f"provide_{name}")]
    found = {name: known[name] for name in served if name in known}
    if not found:
        cause = f"there is no contract for {' or '.join(served) or 'what it does'}"
        remedy = f"Contracts are installed for: {', '.join(sorted(known)) or 'nothing'}. One of your own is declared "
        remedy += f'under [project.entry-points."{GROUP}"].'
        raise Refusal(asked, cause, remedy, answers=chosen.installed.answers)
    return found


def run(told: dict[str, Any], only: str | None = None, whole: bool = False) -> int:
    """Run contracts with pytest, in a process of its own, on nobody's configuration.

    Args:
        told: see `jan_core.testing.installed`.
        only: pytest's expression of which clauses.
        whole: show tracebacks whole.

    Returns:
        0 where all clauses hold.
    """
    from jan_core.testing import installed

    with tempfile.TemporaryDirectory(prefix="jan-check-") as folder:
        settings = Path(folder, "pytest.ini")
        settings.write_text("[pytest]\n")
        given = [installed.__file__, "-q", "-c", str(settings), "--rootdir", folder, "-p", "no:cacheprovider"]
        given += [f"--basetemp={Path(folder, 'clauses')}", f"--tb={'long' if whole else 'short'}", "--show-capture=no"]
        given += ["-k", only] if only else []
        if not any(one.value == PLUGIN for one in entry_points(group="pytest11")):
            given += ["-p", PLUGIN]
        environment = {**os.environ, installed.VARIABLE: json.dumps(told), "PYTEST_ADDOPTS": ""}
        return subprocess.run([sys.executable, "-m", "pytest", *given], env=environment, check=False).returncode
