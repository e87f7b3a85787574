"""The commands that chosen packages add to a group of the kernel's, such as `jan assistants`."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

    from jan_core.config import Config


def names_of(app: Typer) -> list[str]:
    """What the commands of an app are called, in order."""
    return [one.name or getattr(one.callback, "__name__", "").replace("_", "-") for one in app.registered_commands]


def asks_for_more(app: Typer, rest: Sequence[str]) -> bool:
    """True where what is typed behind a group's name is none of its own commands, or asks what there is.

    For all else the packages need not be looked at, which takes a tenth of a second.

    Args:
        app: the group, or a command that is none.
        rest: the words behind its name.
    """
    if app.registered_callback is None:
        return False
    return not rest or rest[0] == "--help" or (not rest[0].startswith("-") and rest[0] not in names_of(app))


def with_added(name: str, app: Typer, config: Config) -> Typer:
    """A group with the commands that the config's packages add; of two with one name, the group's own counts.

    A package whose commands fail to import is named on stderr.

    Args:
        name: of the group.
        app: the group. It stays as it is.
        config: what chooses the packages.

    Raises:
        Refusal: the config chooses nonsense.
    """
    from jan_core.commands import additions
    from jan_core.discovery import import_name

    whole = copy.copy(app)
    whole.registered_commands = list(app.registered_commands)
    for reference in additions(config, name):
        try:
            added: Typer = import_name(reference)
        except Exception as error:  # a package may fail in any way while it is imported
            told = f"{type(error).__name__}: {error}"
            print(f"note: {reference} adds no commands: it fails to import: {told} (jan doctor)", file=sys.stderr)
            continue
        own = names_of(whole)
        new = zip(names_of(added), added.registered_commands, strict=True)
        whole.registered_commands += [one for called, one in new if called not in own]
    return whole


def paths_in(rest: Sequence[str]) -> Mapping[str, Path]:
    """What `--root` and `--config` are among words that are typed, where they are there."""
    words = [part for word in rest for part in (word.split("=", 1) if word.startswith("--") else [word])]
    return {flag: Path(value) for flag, value in pairwise(words) if flag in ("--root", "--config")}
