"""`jan modules new`, `jan plugins new`, `jan endpoints new`: a repository for a package of one's own.

They take `--root` and `--config` as every command does, and read neither: what is begun depends on what is installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jan_core.cli.options import ConfigFile, Root

NOTHING_ELSE = {"rich_markup_mode": None, "add_completion": False, "pretty_exceptions_enable": False}
plugins = typer.Typer(**NOTHING_ELSE, no_args_is_help=True, help="Start a plugin of your own.")  # type: ignore[arg-type]
endpoints = typer.Typer(**NOTHING_ELSE, no_args_is_help=True, help="Start an endpoint of your own.")  # type: ignore[arg-type]

Folder = Annotated[
    Path | None, typer.Option("--folder", show_default="./<name>", help="Where the repository is to be.")
]
Description = Annotated[str | None, typer.Option("--description", help="What it does: a line without a full stop.")]
Author = Annotated[str | None, typer.Option("--author", show_default="git's user.name", help="Your name.")]
Email = Annotated[str | None, typer.Option("--email", show_default="git's user.email", help="Your address.")]


def module(
    name: Annotated[str, typer.Argument(help="<endpoint>-<how>, such as messages-sqlite.")],
    folder: Folder = None,
    description: Description = None,
    author: Author = None,
    email: Email = None,
    root: Root = None,
    config: ConfigFile = None,
) -> None:
    """Start a module: a repository with its first lines, the contract as its tests, and what a package needs.

    What it does not keep yet stands in its tests as missing, clause by clause; they are green from the start.
    """
    from jan_core.cli.new_package import begin_module, said

    begin_module(said(f"jan modules new {name}", name, folder, description, author, email), name)


@plugins.callback()
def _plugins() -> None:
    """Start a plugin of your own; `jan modules` lists those that are installed."""


@plugins.command("new")
def plugin(
    name: Annotated[str, typer.Argument(help="Such as slow-log; also the name of its table of jan.toml.")],
    wraps: Annotated[
        str, typer.Option("--wraps", help="An operation, such as chat.create; or * for every one of every endpoint.")
    ] = "*",
    folder: Folder = None,
    description: Description = None,
    author: Author = None,
    email: Email = None,
    root: Root = None,
    config: ConfigFile = None,
) -> None:
    """Start a plugin: a repository with one that logs what is slow, and tests that run it over an app in memory."""
    from jan_core.cli.new_package import begin_plugin, said

    begin_plugin(said(f"jan plugins new {name}", name, folder, description, author, email), name, wraps)


@endpoints.callback()
def _endpoints() -> None:
    """Start an endpoint of your own."""


@endpoints.command("new")
def endpoint(
    name: Annotated[str, typer.Argument(help="A plural, such as notes; also the path below /v1.")],
    folder: Folder = None,
    description: Description = None,
    author: Author = None,
    email: Email = None,
    root: Root = None,
    config: ConfigFile = None,
) -> None:
    """Start an endpoint: its class, its objects, an implementation in memory, and a contract for every other one."""
    from jan_core.cli.new_package import begin_endpoint, said

    begin_endpoint(said(f"jan endpoints new {name}", name, folder, description, author, email), name)
