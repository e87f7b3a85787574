"""`jan config`."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Json, Root, config_from, unread

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def config_() -> None:
    """Show the configuration, and where each value comes from."""


@app.command()
def path(root: Root = None, config: ConfigFile = None) -> None:
    """Print the config file's path, whether it exists or not."""
    print(unread(root, config).path)


@app.command()
def show(
    root: Root = None,
    config: ConfigFile = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: Json = False,
) -> None:
    """Print every setting that holds, defaults included."""
    asked = config_from(root, config)
    tables = _effective(asked)
    if as_json:
        shown = {
            table: {key: {"value": value, "origin": where} if origin else value for key, (value, where) in keys.items()}
            for table, keys in tables.items()
        }
        print(json.dumps(shown, indent=2, default=str))
        return
    for number, (table, keys) in enumerate(tables.items()):
        print(f"{chr(10) if number else ''}[{table}]")
        for key, (value, where) in keys.items():
            line = f"# {key} is not set" if value is None else f"{key} = {_toml(value)}"
            print(f"{line:<50}# {where}" if origin else line)


def _effective(asked: Any) -> dict[str, dict[str, tuple[Any, str]]]:
    """Table to key to value and origin, of the kernel and of everything chosen; the values are checked on the way."""
    from jan_core.app import Jan
    from jan_core.settings import ServerSettings

    jan = Jan(asked)
    given = asked.tables
    models: dict[str, Any] = {"server": ServerSettings.model_validate(jan.server.model_dump())}
    for chosen, settings in [*jan.modules, *jan.plugins]:
        if settings is not None:
            models[chosen.name] = settings
    for backend in jan.backends.values():
        models[backend.name] = backend.settings
    tables: dict[str, dict[str, tuple[Any, str]]] = {}
    for table, settings in models.items():
        tables[table] = {}
        for key, value in settings.model_dump().items():
            known = given.get(table, {}).get(key)
            tables[table][key] = (_without_password(value), known.origin if known else "default")
    tables["endpoints"] = {
        name: (names if len(names) > 1 else names[0], where) for name, (names, where) in jan.discovery.choices().items()
    }
    use = asked.get("plugins", "use")
    tables["plugins"] = {"use": (use.value if use else [], use.origin if use else "default")}
    aliases = jan.aliases.targets
    if aliases:
        tables["aliases"] = {name: (target, given["aliases"][name].origin) for name, target in aliases.items()}
    return {name: tables[name] for name in ("server", "endpoints", "plugins")} | tables


def _without_password(value: Any) -> Any:
    """A setting as it may stand on a screen: the password in the address of a database is left out."""
    if not isinstance(value, str):
        return value
    return re.sub(r"(://[^/@\s:]*:)[^/@\s]*@|(\bpassword\s*=\s*)('[^']*'|\S+)", _hidden, value)


def _hidden(found: re.Match[str]) -> str:
    return f"{found[1]}…@" if found[1] else f"{found[2]}…"


def _toml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (str, bool, list, dict)) else str(value)
