"""`jan keys`."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from jan_auth_keys.entries import Key
    from jan_auth_keys.scopes import Scopes
    from jan_core.config import Config

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Root = Annotated[
    Path | None,
    typer.Option("--root", envvar="JAN_ROOT", show_default="~/jan", help="The root folder.", show_envvar=True),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="JAN_CONFIG", show_default="<root>/jan.toml", help="The config file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_SPAN = re.compile(r"([1-9][0-9]{0,4})([hdw])")
_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


@app.callback()
def keys() -> None:
    """Make, list and revoke keys: who may use the server, for what, and until when."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What it is called, in logs too: who uses it, or what.")],
    allow: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may use: an endpoint such as chat, models:read or threads:write; *:read reads everywhere. "
            "May be given several times.",
            show_default="everything",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="When it ends: 12h, 30d, 8w, or a date such as 2027-01-31 (UTC).", show_default="never"),
    ] = None,
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown this once: only a hash of it is kept."""
    from jan_auth_keys import changes

    asked, path = _file(root, config)
    scopes = _scopes(asked, allow) if allow else None
    key, text = changes.add(path, asked.root, name, scopes, _end(expires))
    if as_json:
        print(json.dumps({**_told(key), "key": text}, indent=2))
        return
    print(f"The key {name!r}; this is the only time it is shown:", file=sys.stderr)
    print(text)


@app.command(name="ls")
def list_(root: Root = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """List the keys, without what is secret of them."""
    from jan_auth_keys.entries import Keys, Unreadable
    from jan_auth_keys.file import read
    from jan_core.errors import InvalidRequest

    _, path = _file(root, config)
    try:
        found = read(path) if Path(path).exists() else Keys({})
    except Unreadable as error:
        raise InvalidRequest(f"{path} cannot be read: {error}.") from None
    for fault in found.faults:
        print(f"jan: {path}: {fault}", file=sys.stderr)
    listed = list(found.by_id.values())
    if as_json:
        print(json.dumps([_told(key) for key in listed], indent=2))
        return
    if not listed:
        print("There is no key yet; make one: jan keys add NAME", file=sys.stderr)
        return
    rows = [("NAME", "ID", "ALLOW", "CREATED", "EXPIRES")]
    for key in listed:
        allow = " ".join(key.scopes.listed) or "nothing" if key.scopes is not None else "everything"
        gone = " (expired)" if key.expires <= time.time() else ""
        rows.append((key.name, key.id.decode(), allow, _day(key.created), _day(key.expires) + gone))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Take a key away: a running server refuses it from the next request on."""
    from jan_auth_keys import changes

    asked, path = _file(root, config)
    changes.revoke(path, asked.root, name)
    print(json.dumps({"name": name, "revoked": True}) if as_json else f"The key {name!r} is revoked.")


def _file(root: Path | None, config: Path | None) -> tuple[Config, str]:
    """The config, and where the keys are."""
    from jan_auth_keys.settings import Settings
    from jan_core.config import load

    asked = load(root, config)
    return asked, asked.table("auth-keys", Settings).path(asked.root)


def _scopes(asked: Config, listed: list[str]) -> Scopes:
    """The scopes that are asked for; refused where one names nothing that there is."""
    from jan_auth_keys.scopes import read_scopes
    from jan_core.discovery import Discovery

    try:
        scopes = read_scopes(listed)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--allow") from None
    discovery = Discovery(asked)
    known = [one.name for group in ("endpoints", "modules", "plugins") for one in discovery.installed[group]]
    for name in scopes.names():
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            endpoints = ", ".join(one.name for one in discovery.installed["endpoints"])
            told = f"there is no endpoint {name!r}; {hint}Endpoints: {endpoints}."
            raise typer.BadParameter(told, param_hint="--allow")
    return scopes


def _end(text: str | None) -> float:
    """When a key ends, in Unix seconds."""
    if text is None:
        return math.inf
    span = _SPAN.fullmatch(text)
    if span is not None:
        return float(int(time.time()) + int(span[1]) * _SECONDS[span[2]])
    try:
        moment = datetime.fromisoformat(text)
        end = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        told = f"{text[:100]!r} is no time: write 12h, 30d, 8w, or a date such as 2027-01-31."
        raise typer.BadParameter(told, param_hint="--expires") from None
    if end <= time.time():
        raise typer.BadParameter(f"{text} is over already.", param_hint="--expires")
    return end


def _told(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "id": key.id.decode(),
        "created_at": None if key.created is None else int(key.created),
        "expires_at": None if key.expires == math.inf else int(key.expires),
        "expired": key.expires <= time.time(),
        "allow": None if key.scopes is None else list(key.scopes.listed),
    }


def _day(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds == math.inf:
        return "never"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%MZ")
