"""`jan assistants`."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Json, Root, config_from
from jan_core.cli.plain import line, moment, plain, print_rows
from jan_core.cli.within import endpoint, request, text_of, typed, within

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.effective import Setting
    from jan_core.schemas.assistants import Assistant

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_PAGE = 100
_SHOWN = ("model", "instructions", "tools")
"""Told with the settings, where it also says where they come from."""


@app.callback()
def assistants() -> None:
    """List, show and make assistants."""


@app.command(name="ls")
def list_(root: Root = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """List the assistants."""
    listed = within(root, config, _all)
    if as_json:
        print(json.dumps([one.model_dump(mode="json") for one in listed], indent=2))
        return
    rows = [(one.id, one.name or "", one.model, one.description or "") for one in listed]
    print_rows(("ID", "NAME", "MODEL", "DESCRIPTION"), rows, gives_way="DESCRIPTION")


@app.command()
def show(
    assistant: Annotated[str, typer.Argument(help="The assistant's id.")],
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Show an assistant, and where each of its settings comes from."""

    async def look(jan: Jan) -> tuple[Assistant, dict[str, Setting]]:
        from jan_core.effective import settings_of

        found: Assistant = await endpoint(jan, "assistants").retrieve(assistant)
        return found, await settings_of(jan, assistant_id=assistant)

    found, settings = within(root, config, look)
    if as_json:
        told = {name: {"value": one.value, "origin": one.origin} for name, one in settings.items()}
        print(json.dumps({**found.model_dump(mode="json"), "settings": told}, indent=2))
        return
    for name, value in found.model_dump(mode="json").items():
        if name not in _SHOWN and name not in settings and value not in (None, "", [], {}):
            print(f"{name}: {moment(value) if name == 'created_at' else line(_value(value))}")
    for name, one in settings.items():
        print(f"{name}: {_indented(plain(_value(one.value)))}")
        print(f"    from {line(one.origin)}")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What people call it, such as `Math Tutor`.")],
    model: Annotated[
        str | None, typer.Option(help="The model that answers.", show_default="the first installed")
    ] = None,
    instructions: Annotated[
        str | None, typer.Option(help="What the model is told before every conversation; - reads them from stdin.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for, in a sentence.")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 to 2; more makes answers more varied.")] = None,
    top_p: Annotated[float | None, typer.Option(help="0 to 1; less leaves out what is unlikely.")] = None,
    id: Annotated[
        str | None, typer.Option(help="Its id, and the name of its folder.", show_default="from the name")
    ] = None,
    code: Annotated[bool, typer.Option("--code", help="Begin code for it, with a function that it may call.")] = False,
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Make an assistant whose folder has a name that a person can read."""
    from jan_core.folder.names import check_name
    from jan_core.ids import now
    from jan_core.schemas.assistants import Assistant as Made
    from jan_core.schemas.assistants import AssistantRequest

    given = request(
        AssistantRequest,
        # The API asks for a model; here the first installed one answers where none is named.
        model=typed(model) if model is not None else "any",
        name=typed(name),
        instructions=None if instructions is None else text_of(instructions, "--instructions"),
        description=None if description is None else typed(description),
        temperature=temperature,
        top_p=top_p,
    )
    folder = id if id is not None else folder_name(name)
    if not folder:
        raise typer.BadParameter(f"no id can be made of {name!r}; give one with --id", param_hint="name")
    check_name(folder, param="--id")
    begin_code = _code_command(root, config) if code else None

    async def make(jan: Jan) -> Made:
        from jan_core.errors import Conflict

        taken = next((one for one in await _all(jan) if one.id.lower() == folder.lower()), None)
        if taken is not None:
            how = "" if taken.id == folder else f", and {folder!r} differs from it only in capitals"
            raise Conflict(f"There is an assistant {taken.id!r} already{how}. Give another id: --id.")
        made = Made.of(given, id=folder, created_at=now())
        if model is None:
            made.model = ""
        await endpoint(jan, "assistants").put(made)
        found: Made = await jan.assistants.retrieve(folder)
        return found

    made = within(root, config, make, makes=True)
    if as_json:
        print(json.dumps(made.model_dump(mode="json"), indent=2))
    else:
        print(f"{made.id} is here. jan assistants show {made.id}")
    if begin_code is not None:
        with redirect_stdout(sys.stderr if as_json else sys.stdout):
            begin_code(assistant=made.id, root=root, config=config)


def _code_command(root: Path | None, config: Path | None) -> Callable[..., Any]:
    """The command `jan assistants code`, which a package brings.

    Raises:
        Refusal: no chosen package does.
    """
    from jan_core.cli.added import with_added
    from jan_core.refusal import Refusal

    for one in with_added("assistants", app, config_from(root, config)).registered_commands:
        if one.name == "code" and one.callback is not None:
            return one.callback
    raise Refusal(
        "--code",
        "no chosen package runs code of assistants",
        "Choose one under [endpoints] or [plugins] of jan.toml; jan modules lists what is here.",
    )


def folder_name(name: str) -> str:
    """A name for a folder, made of what people call something: `Math Tutor` gives `math-tutor`. It may be empty."""
    plainer = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plainer).strip("-")[:100].rstrip("-")


async def _all(jan: Jan) -> list[Assistant]:
    """All assistants, the oldest first."""
    from jan_core.schemas.pages import PageQuery

    found: list[Assistant] = []
    after: str | None = None
    while True:
        page = await endpoint(jan, "assistants").list(PageQuery(limit=_PAGE, order="asc", after=after))
        found += page.data
        after = page.last_id
        if not page.has_more or after is None:
            return found


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _indented(text: str) -> str:
    return text if "\n" not in text else "\n    " + text.replace("\n", "\n    ")
