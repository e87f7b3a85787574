"""`jan assistants code` and `jan assistants install`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from jan_core.folder.layout import Layout

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

Id = Annotated[str, typer.Argument(help="The assistant's id.")]
Root = Annotated[
    Path | None,
    typer.Option("--root", envvar="JAN_ROOT", show_default="~/jan", help="The root folder.", show_envvar=True),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="JAN_CONFIG", show_default="<root>/jan.toml", help="The config file."),
]


@app.command(name="code")
def begin_code(assistant: Id, root: Root = None, config: ConfigFile = None) -> None:
    """Give an assistant code to begin with: a function that it may call, in a file to edit."""
    from jan_code.beginning import begin

    written = begin(_layout(root, config), assistant)
    print(f"Its code is in {written}: public functions there are tools. Edit it; the next run has what it says.")


@app.command()
def install(
    assistant: Id,
    build: Annotated[
        bool,
        typer.Option("--build", help="Also packages that have to be built: their own code runs, without any walls."),
    ] = False,
    root: Root = None,
    config: ConfigFile = None,
) -> None:
    """Install what an assistant's src/pyproject.toml and src/package.json ask for, into an environment of its own.

    It is made anew each time, and takes the place of the one before when it is complete.
    """
    from jan_code.installing import install as carry_out

    try:
        for line in carry_out(_layout(root, config), assistant, build=build):
            print(line)
    except KeyboardInterrupt:
        print("\njan: stopped; the assistant has what it had before", file=sys.stderr)
        raise typer.Exit(130) from None


def _layout(root: Path | None, config: Path | None) -> Layout:
    from jan_core.config import load
    from jan_core.folder.layout import Layout

    return Layout(load(root, config).root)
