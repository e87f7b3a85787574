"""Options that every command has."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from jan_core.config import Config, Value, default_root, load

Root = Annotated[
    Path | None,
    typer.Option("--root", envvar="JAN_ROOT", show_default="~/jan", help="The root folder.", show_envvar=True),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="JAN_CONFIG", show_default="<root>/jan.toml", help="The config file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def unread(root: Path | None, config: Path | None) -> Config:
    """Where the root and the config file are; the file is not read, so that it may be missing or broken."""
    home = (root or default_root()).expanduser().absolute()
    return Config(home, (config or home / "jan.toml").expanduser().absolute())


def config_from(root: Path | None, config: Path | None, **flags: tuple[str, object]) -> Config:
    """The config with a command's flags on top; `port=("server", 1338)` is the flag `--port`; None was not given."""
    given = {
        (table, key): Value(value, f"flag --{key.replace('_', '-')}")
        for key, (table, value) in flags.items()
        if value is not None
    }
    return load(root, config, given)


def same_root(command: str, root: Path) -> str:
    """A command to type next, with `--root` where it would otherwise go to another root than this one."""
    return command if root == default_root().absolute() else f"{command} --root {shlex.quote(str(root))}"
