"""The commands that chosen packages add to `jan`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from jan_core.config import Config
from jan_core.discovery import Discovery
from jan_core.refusal import Refusal


def commands(config: Config) -> dict[str, tuple[str, str]]:
    """Name to `module:attribute` and help line, from every chosen module and plugin that loads.

    A package that does not load is named on stderr and costs only its own commands.

    Raises:
        Refusal: the config itself cannot be read.
    """
    found: dict[str, tuple[str, str]] = {}
    for command, reference, distribution in _registered(config):
        found.setdefault(command, (reference, f"From {distribution}."))
    return found


def additions(config: Config, name: str) -> list[str]:
    """What every chosen module and plugin that loads adds to the command `name` of the kernel: `module:attribute`s.

    A package that does not load is named on stderr.

    Raises:
        Refusal: the config itself cannot be read.
    """
    return list(dict.fromkeys(reference for command, reference, _ in _registered(config) if command == name))


def _registered(config: Config) -> Iterator[tuple[str, str, str]]:
    """Each command that a chosen package registers: its name, `module:attribute`, and whose it is."""
    discovery = Discovery(config)
    chosen = [("modules", name, asked) for names, asked in discovery.choices().values() for name in names]
    plugins = config.get("plugins", "use")
    if plugins is not None and isinstance(plugins.value, list):
        chosen += [("plugins", str(name), f"plugin {name!r}") for name in plugins.value]
    for group, name, asked in chosen:
        try:
            package = discovery.load(group, name, asked)
            named = discovery.call(package, "register_commands") or {}
            if not isinstance(named, Mapping):
                raise Refusal(asked, f"register_commands must return a mapping, but returned {named!r}", "Update it.")
        except Refusal as refusal:
            print(f"note: {name} adds no commands: {refusal.cause} (jan doctor)", file=sys.stderr)
            continue
        for command, reference in named.items():
            yield command, reference, package.installed.distribution
