"""`jan copy`."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer
from typing_extensions import override

from jan_core.cli.options import ConfigFile, Json, Root
from jan_core.cli.plain import line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress, TaskID

    from jan_core.app import Jan
    from jan_core.copying import Told

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

_SHOWN = 20
_EVERY = 10_000
"""Objects between two lines of progress where there is no terminal."""


@app.command()
def copy(
    what: Annotated[str, typer.Argument(help="assistants, threads, messages or runs; or all of them.", metavar="WHAT")],
    source: Annotated[str, typer.Argument(help="How they are kept: json for threads-json.", metavar="FROM")],
    target: Annotated[str, typer.Argument(help="How they are to be kept: postgresql for threads-postgresql.")],
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Copy what one module holds into another, as it is: ids, order and times stay. The source is only read.

    What is there already is not copied twice, and what differs is left as it is there: it may be run again at any time,
    also after it was interrupted. Then name the new module under [endpoints]. Exit status 1: something differs.
    """
    from jan_core.copying import ENDPOINTS, Copying

    if what not in (*ENDPOINTS, "all"):
        raise typer.BadParameter(f"one of {', '.join(ENDPOINTS)}, all; not {what!r}", param_hint="WHAT")
    if source == target:
        raise typer.BadParameter("it is the one that is copied from", param_hint="TARGET")
    names = ENDPOINTS if what == "all" else (what,)
    apps = [_app(root, config, names, how) for how in (source, target)]

    async def run() -> dict[str, Told]:
        async with AsyncExitStack() as stack:
            ours, theirs = [await stack.enter_async_context(one) for one in apps]
            with _counted() as bars:
                copying = Copying(ours, theirs, bars.step)
                told = {}
                for name in names:
                    if bars.is_shown:
                        bars.begin(name, await copying.total(name))
                    told[name] = await copying.copy(name)
                return told

    # Objects are made by the million and none of them is part of a circle: looking for those takes half of the time.
    gc.freeze()
    gc.set_threshold(1_000_000)
    told = asyncio.run(run())
    if as_json:
        shown = {
            name: {"copied": one.copied, "present": one.present, "conflicts": one.conflicts}
            for name, one in told.items()
        }
        print(json.dumps(shown, indent=2))
    else:
        _print(told)
    raise typer.Exit(int(any(one.conflicts for one in told.values())))


def _app(root: Path | None, path: Path | None, names: Sequence[str], how: str) -> Jan:
    """An app that holds the copied endpoints so, the others as configured; no engines, no plugins, at rest."""
    from jan_core.app import Jan
    from jan_core.config import Value, load

    flags = {("endpoints", name): Value(f"{name}-{how}", "jan copy") for name in names}
    for name in {"chat", "completions", "embeddings", "runs"}.difference(names):
        flags["endpoints", name] = Value([], "jan copy")
    # What plugins make of a message is not what is stored.
    flags["plugins", "use"] = Value([], "jan copy")
    config = load(root, path, flags=flags)
    config.tables.pop("aliases", None)
    return Jan(config, at_rest=True)


class _Lines:
    """Progress where there is no terminal: a line now and then."""

    is_shown: ClassVar[bool] = False

    def __init__(self) -> None:
        self._count: dict[str, int] = {}

    def begin(self, endpoint: str, total: int) -> None:
        """Nothing: without a bar, nobody sees the total."""

    def step(self, endpoint: str, objects: int, done: int) -> None:
        """See `Copying`."""
        before = self._count.get(endpoint, 0)
        self._count[endpoint] = before + objects
        if before // _EVERY != self._count[endpoint] // _EVERY:
            print(f"{self._count[endpoint]} {endpoint}", file=sys.stderr, flush=True)


class _Bars(_Lines):
    """Progress in a terminal: a bar for each endpoint, how many objects it has looked at, and how long it will take."""

    is_shown: ClassVar[bool] = True

    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    @override
    def begin(self, endpoint: str, total: int) -> None:
        """Show the bar of an endpoint, with nothing done of a total."""
        self._tasks[endpoint] = self._bars.add_task(endpoint, total=total, objects=0)

    @override
    def step(self, endpoint: str, objects: int, done: int) -> None:
        """See `Copying`."""
        count = self._count[endpoint] = self._count.get(endpoint, 0) + objects
        self._bars.update(self._tasks[endpoint], advance=done, objects=count)


@contextmanager
def _counted() -> Iterator[_Lines]:
    """Show how far it is: as bars in a terminal, else in a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<11}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[objects]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        yield _Bars(bars)


def _print(told: dict[str, Told]) -> None:
    for name, one in told.items():
        print(f"{name:<11} {one.copied} copied, {one.present} there already, {len(one.conflicts)} in conflict")
    conflicts = [conflict for one in told.values() for conflict in one.conflicts]
    if conflicts:
        print("\nLeft alone:")
        print("\n".join(f"  {line(one)}" for one in conflicts[:_SHOWN]))
        if len(conflicts) > _SHOWN:
            print(f"  … and {len(conflicts) - _SHOWN} more; --json lists all.")
