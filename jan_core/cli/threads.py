"""`jan threads`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Json, Root
from jan_core.cli.plain import line, moment, plain, print_rows
from jan_core.cli.within import endpoint, within

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.effective import Setting
    from jan_core.schemas.messages import Message
    from jan_core.schemas.threads import Thread

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

_PAGE = 100
_WORDS = 60
_Id = Annotated[str, typer.Argument(help="The thread's id.")]


@app.callback()
def threads() -> None:
    """List, show and remove threads."""


@app.command(name="ls")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="How many, at most.")] = 20,
    assistant: Annotated[str | None, typer.Option(help="Only those that this assistant takes part in.")] = None,
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """List the threads, the newest first."""

    async def look(jan: Jan) -> list[tuple[Thread, str, Message | None]]:
        found = await _newest(jan, limit, assistant)
        return [(one, *((("", None)) if as_json else await _ends(jan, one))) for one in found]

    listed = within(root, config, look)
    if as_json:
        print(json.dumps([one.model_dump(mode="json") for one, _, _ in listed], indent=2))
        return
    if not listed:
        of = f" with {assistant}" if assistant else ""
        print(f"There is no thread{of} yet; programs make them: POST /v1/threads.", file=sys.stderr)
        return
    rows = [
        (
            one.id,
            title,
            ", ".join(taking.assistant_id for taking in one.assistants or []),
            one.model or next((taking.model for taking in one.assistants or [] if taking.model), None) or "",
            moment(last.created_at if last else one.created_at),
        )
        for one, title, last in listed
    ]
    print_rows(("ID", "TITLE", "ASSISTANT", "MODEL", "LAST"), rows, gives_way="TITLE")


@app.command()
def show(
    thread: _Id,
    settings: Annotated[
        bool, typer.Option("--settings", help="Show what settings hold in it, and where each comes from.")
    ] = False,
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Show a conversation, or the settings that hold in it."""
    if settings:
        _print_settings(within(root, config, lambda jan: _settings(jan, thread)), as_json)
        return

    async def look(jan: Jan) -> tuple[Thread, list[Message]]:
        found: Thread = await endpoint(jan, "threads").retrieve(thread)
        return found, await _messages(jan, thread)

    found, messages = within(root, config, look)
    if as_json:
        told = {"thread": found.model_dump(mode="json"), "messages": [one.model_dump(mode="json") for one in messages]}
        print(json.dumps(told, indent=2))
        return
    print(f"{found.id}, {moment(found.created_at)}")
    if found.title:
        print(line(found.title))
    for message in messages:
        who = message.role if message.assistant_id is None else f"{message.role} ({line(message.assistant_id)})"
        broke = f", broke off: {message.incomplete_details.reason}" if message.incomplete_details else ""
        print(f"\n{who}, {moment(message.created_at)}{broke}")
        print("\n".join(f"  {text}" for part in message.content for text in plain(_text(part)).split("\n")))


@app.command()
def rm(
    threads: Annotated[list[str], typer.Argument(help="The threads' ids.")],
    root: Root = None,
    config: ConfigFile = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove threads with their messages and files."""

    names = list(dict.fromkeys(threads))

    async def look(jan: Jan) -> str:
        return "".join([f"  {name}  {await _title(jan, name)}\n" for name in names])

    async def remove(jan: Jan) -> None:
        for name in names:
            await endpoint(jan, "threads").delete(name)
            print(f"{name} is gone.")

    told = within(root, config, look)
    question = f"{told}Remove {'it' if len(names) == 1 else f'these {len(names)} threads'}?"
    if not yes and not sys.stdin.isatty():
        print(f"{told}jan: nothing was removed: nobody could be asked (--yes answers)", file=sys.stderr)
        raise typer.Exit(1)
    if not yes:
        typer.confirm(question, abort=True)
    within(root, config, remove)


async def _newest(jan: Jan, limit: int, assistant: str | None) -> list[Thread]:
    from jan_core.schemas.threads import ThreadsQuery

    found: list[Thread] = []
    after: str | None = None
    while True:
        wanted = min(limit - len(found), _PAGE)
        page = await endpoint(jan, "threads").list(ThreadsQuery(limit=wanted, after=after, assistant_id=assistant))
        found += page.data
        after = page.last_id
        if not page.has_more or after is None or len(found) >= limit:
            return found


async def _title(jan: Jan, thread_id: str) -> str:
    """A thread's title, or its first words; of a damaged thread, which can be removed as well, what is wrong.

    Raises:
        NotFound: there is none of this id.
    """
    from jan_core.errors import InvalidRequest

    try:
        return (await _ends(jan, await endpoint(jan, "threads").retrieve(thread_id)))[0]
    except InvalidRequest as error:
        if error.code != "damaged_file":
            raise
        return line(f"({error.message})", _WORDS)


async def _ends(jan: Jan, thread: Thread) -> tuple[str, Message | None]:
    """A thread's title, or the first words that were said in it, and the last message."""
    from jan_core.errors import JanError
    from jan_core.schemas.messages import MessagesQuery

    if "messages" not in jan.endpoints:
        return thread.title or "", None
    try:
        last = (await jan.messages.list(thread.id, MessagesQuery(limit=1))).data
        first = [] if thread.title else (await jan.messages.list(thread.id, MessagesQuery(limit=1, order="asc"))).data
    except JanError as error:  # one that is damaged hides no other
        return line(f"({error.message})", _WORDS), None
    words = " ".join(_text(part) for message in first for part in message.content)
    return line(thread.title or words, _WORDS), last[0] if last else None


async def _messages(jan: Jan, thread_id: str) -> list[Message]:
    from jan_core.schemas.messages import MessagesQuery

    found: list[Message] = []
    after: str | None = None
    while "messages" in jan.endpoints:
        page = await jan.messages.list(thread_id, MessagesQuery(limit=_PAGE, order="asc", after=after))
        found += page.data
        after = page.last_id
        if not page.has_more or after is None:
            break
    return found


async def _settings(jan: Jan, thread_id: str) -> dict[str, Setting]:
    from jan_core.effective import settings_of

    endpoint(jan, "threads")
    return await settings_of(jan, thread_id=thread_id)


def _print_settings(found: dict[str, Setting], as_json: bool) -> None:
    if as_json:
        told = {name: {"value": one.value, "origin": one.origin} for name, one in found.items()}
        print(json.dumps(told, indent=2))
        return
    rows = [(name, _value(one.value), one.origin) for name, one in found.items()]
    print_rows(("SETTING", "VALUE", "FROM"), rows, gives_way="VALUE")


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _text(part: Any) -> str:
    """A part of a message as text; what is none is named."""
    if part.type == "text":
        return str(part.text.value)
    if part.type == "refusal":
        return str(part.refusal)
    if part.type == "image_file":
        return f"[image: file {part.image_file.file_id}]"
    return f"[image: {line(part.image_url.url, _WORDS)}]"
