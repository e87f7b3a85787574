"""`jan import`."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jan_core.cli.options import ConfigFile, Json, Root, config_from
from jan_core.cli.plain import line
from jan_core.cli.within import within

if TYPE_CHECKING:
    from jan_core.importing.report import Kind, Outcome, Report

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

_SHOWN = 20
_KINDS: tuple[Kind, ...] = ("model", "assistant", "thread")
_OUTCOMES: dict[Outcome, str] = {
    "imported": "imported",
    "present": "here already",
    "skipped": "skipped",
    "left out": "without a file",
}


@app.command(name="import")
def import_(
    folder: Annotated[Path, typer.Argument(help="A data folder of the Jan desktop app, or another root.")],
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy the files of models also where a link (no more room) can be made.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Bring in the models, assistants and threads of another root. It is only read.

    What is here already is not brought twice, and what differs is left as it is here: it may be run again at any time,
    also after it was interrupted. Exit status 1: something could not be brought.
    """
    from jan_core.cli.progress import show_progress
    from jan_core.importing.run import Import

    home = config_from(root, config).root
    code = 0
    with show_progress() as progress, tempfile.TemporaryDirectory() as nowhere:
        run = Import(home, folder.expanduser(), copy=copy, dry_run=dry_run, progress=progress)
        try:
            run.models()
            # An app makes the root where there is none; only looking must not, and there is nothing to compare with.
            within(Path(nowhere) if dry_run and not _is_root(home) else root, config, run.conversations, makes=True)
        except KeyboardInterrupt:
            print("\njan: stopped", file=sys.stderr)
            code = 130
        except typer.Exit as exit:
            code = exit.exit_code
    if as_json:
        print(json.dumps(run.report.shown(), indent=2))
    else:
        _print(run.report)
    raise typer.Exit(code or int(not run.report.whole))


def _is_root(home: Path) -> bool:
    return any((home / name).is_dir() for name in ("threads", "assistants"))


def _print(report: Report) -> None:
    would = "would be " if report.dry_run else ""
    for kind in _KINDS:
        told = [
            f"{count} {would if outcome == 'imported' else ''}{words}"
            for outcome, words in _OUTCOMES.items()
            if (count := report.count(kind, outcome))
        ]
        said = f"{report.messages} message{'' if report.messages == 1 else 's'}"
        messages = f" ({said})" if kind == "thread" and report.messages else ""
        print(f"{kind + 's':<11} {', '.join(told) or 'none'}{messages}")
    for title, lines in (("Skipped:", report.reasons()), ("Changed on the way, or left out:", report.notes())):
        if lines:
            print(f"\n{title}")
            print("\n".join(f"  {line(one)}" for one in lines[:_SHOWN]))
            if len(lines) > _SHOWN:
                print(f"  … and {len(lines) - _SHOWN} more; --json lists all.")
    if report.stopped:
        print("\nIt was stopped before the end. Run it again: it goes on where it stopped.")
