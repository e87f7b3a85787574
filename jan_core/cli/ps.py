"""`jan ps`."""

from __future__ import annotations

import json
import time
from typing import Any

import typer

from jan_core.cli.options import ConfigFile, Json, Root
from jan_core.cli.running import Url, ask

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

_HEADS = ("MODEL", "ENGINE", "STATE", "PID", "MEMORY", "ESTIMATE", "CONTEXT", "SLOTS", "WAITING", "IDLE", "UNTIL")


@app.command()
def ps(root: Root = None, config: ConfigFile = None, url: Url = None, as_json: Json = False) -> None:
    """Show the models that the running server holds in memory."""
    models = ask(root, config, url, "GET /engines/models")["data"]
    if as_json:
        print(json.dumps(models, indent=2))
        return
    print_table([_HEADS, *(_row(model, time.time()) for model in models)])


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(model: dict[str, Any], now: float) -> tuple[str, ...]:
    name = f"{model['id']} ({model['purpose']})" if model["purpose"] else model["id"]
    at_work = model["idle_since"] is None
    until = "" if at_work else "stays" if model["until"] is None else f"in {_span(model['until'] - now)}"
    return (
        name,
        model["engine"],
        model["state"] + (", pinned" if model["pinned"] else ""),
        str(model["pid"] or ""),
        _mib(model["memory"]),
        _mib(model["estimated"]),
        str(model["context"]),
        f"{model['busy']}/{model['slots']}",
        str(model["waiting"]),
        "" if at_work else _span(now - model["idle_since"]),
        until,
    )


def _mib(size: int | None) -> str:
    return "?" if size is None else f"{size / (1 << 20):.0f} MiB"


def _span(seconds: float) -> str:
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
