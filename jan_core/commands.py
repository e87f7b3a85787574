"""The commands that chosen packages add to `jan`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from jan_core.config import Config
from jan_core.discovery import Discovery
from jan_core.refusal import Refusal


def commands(config: Config) -> dict[str, tuple[str, str]]:
    """Name to `module:attribute` and help line, from every chosen module and plugin that loads.

    A package that does not load is named on stderr and costs only its own commands.

    Raises:
        Refusal: the config itself cannot be read.
    """
    discovery = Discovery(config)
    chosen = [("modules", name, asked) for names, asked in discovery.choices().values() for name in names]
    plugins = config.get("plugins", "use")
    if plugins is not None and isinstance(plugins.value, list):
        chosen += [("plugins", str(name), f"plugin {name!r}") for name in plugins.value]
    found: dict[str, tuple[str, str]] = {}
    for group, name, asked in chosen:
        try:
            package = discovery.load(group, name, asked)
            named = discovery.call(package, "register_commands") or {}
            if not isinstance(named, Mapping):
                raise Refusal(asked, f"register_commands must return a mapping, but returned {named!r}", "Update it.")
            for command, reference in named.items():
                found.setdefault(command, (reference, f"From {package.installed.distribution}."))
        except Refusal as refusal:
            print(f"note: {name} adds no commands: {refusal.cause} (jan doctor)", file=sys.stderr)
    return found
