"""What commands share that do something with a model in this process, without a server."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from jan_core.cli.options import config_from
from jan_core.config import Config, default_root
from jan_core.refusal import Refusal

if TYPE_CHECKING:
    from pydantic import BaseModel

    from jan_core.app import Jan

T = TypeVar("T")
M = TypeVar("M", bound="BaseModel")


def within(
    root: Path | None, config: Path | None, work: Callable[[Jan], Coroutine[Any, Any, T]], *, makes: bool = False
) -> T:
    """Build the app of a root, enter it, do some work with it, and close it in every case; Ctrl-C ends the work.

    Args:
        root: as the option `--root`.
        config: as the option `--config`.
        work: what is done with the app.
        makes: whether it may be the first that makes something in a root; see `check_root` for one that only looks or
            removes.

    Raises:
        Refusal: the app cannot be built; or the root does not exist, and is not to be made.
        typer.Exit: Ctrl-C was pressed; it has been told.
    """
    from jan_core.app import Jan

    try:
        asked = config_from(root, config)
        if not makes:
            check_root(asked)
        jan = Jan(asked)
        with asyncio.Runner() as runner:
            runner.run(jan.__aenter__())
            try:
                return runner.run(work(jan))
            finally:
                runner.run(jan.__aexit__(None, None, None))
    except KeyboardInterrupt:
        print("\njan: stopped", file=sys.stderr)
        raise typer.Exit(130) from None


def check_root(asked: Config) -> None:
    """Refuse a root that does not exist, for a command that is not to make one: its name may be mistyped.

    Raises:
        Refusal: it is not there. The default root may be missing: nothing of it was typed.
    """
    if not asked.root.is_dir() and asked.root != default_root({}):
        raise Refusal(
            f"the root {asked.root}", "there is no such folder", f"jan init --root {shlex.quote(str(asked.root))}"
        )


def endpoint(jan: Jan, name: str) -> Any:
    """An endpoint of the app.

    Raises:
        NotSupported: the config chooses no module for it.
    """
    from jan_core.errors import NotSupported

    if name not in jan.endpoints:
        raise NotSupported(f"No module answers {name!r} here; choose one under [endpoints] of jan.toml.")
    return getattr(jan, name)


def request(kind: type[M], **fields: Any) -> M:
    """A request with these fields, those that are None left out.

    Raises:
        InvalidRequest: as over HTTP; the message names the field.
    """
    from jan_core.validation import parse

    given = {name: value for name, value in fields.items() if value is not None}
    return parse(kind, json.dumps(given).encode())


def typed(text: str) -> str:
    """What was typed, with bytes that are no UTF-8, which Python passes on as lone surrogates, replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def text_of(given: str, option: str) -> str:
    """An argument as it stands, or all of stdin where it is `-`.

    Args:
        given: the argument.
        option: its name, for the error.
    """
    text = typed(sys.stdin.read() if given == "-" else given)
    if not text.strip():
        raise typer.BadParameter("it is empty", param_hint=option)
    return text


def json_of(given: str, option: str) -> Any:
    """JSON written on the command line, from stdin where it is `-`, or from the file that is named.

    Args:
        given: the argument; JSON begins with a bracket.
        option: its name, for errors.
    """
    if given == "-":
        text, where = sys.stdin.read(), "stdin"
    elif given.lstrip().startswith(("{", "[")):
        text, where = given, "it"
    else:
        try:
            text, where = Path(given).expanduser().read_text("utf-8"), given
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise typer.BadParameter(f"cannot read the file {given!r}: {why}", param_hint=option) from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{where} is no JSON: {error}", param_hint=option) from None
