"""The command `jan`: finds the command's file, imports it alone, and runs it.

Only what is used is imported, so that `jan --help` answers at once; a package that is broken costs its own commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer

    from jan_core.refusal import Refusal

COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("jan_core.cli.serve:app", "Serve the API on this machine."),
    "chat": ("jan_core.cli.chat:app", "Chat with a model in the terminal, without a server."),
    "run": ("jan_core.cli.run:app", "Ask a model once, with every setting at hand."),
    "tokenize": ("jan_core.cli.tokens:tokenize_app", "Cut a text into a model's tokens."),
    "detokenize": ("jan_core.cli.tokens:detokenize_app", "Show the text of tokens."),
    "template": ("jan_core.cli.template:app", "Show the prompt that a conversation becomes."),
    "models": ("jan_core.cli.models:app", "Get, list, show, load, unload and remove models."),
    "assistants": ("jan_core.cli.assistants:app", "List, show and make assistants."),
    "threads": ("jan_core.cli.threads:app", "List, show and remove threads."),
    "import": ("jan_core.cli.import_:app", "Bring in the root of a Jan desktop app, or another root."),
    "copy": ("jan_core.cli.copy:app", "Copy conversations from one module into another."),
    "ps": ("jan_core.cli.ps:app", "Show the models that the running server holds in memory."),
    "modules": ("jan_core.cli.modules:app", "Show what is installed, chosen, or broken; start a module."),
    "plugins": ("jan_core.cli.new:plugins", "Start a plugin of your own."),
    "endpoints": ("jan_core.cli.new:endpoints", "Start an endpoint of your own."),
    "config": ("jan_core.cli.config:app", "Show the configuration, and where each value comes from."),
    "check": ("jan_core.cli.check:app", "Run the contract of an installed module."),
    "init": ("jan_core.cli.init:app", "Make a root folder with a jan.toml to edit."),
    "doctor": ("jan_core.cli.doctor:app", "Check the installation, and say how to mend it."),
}
"""Name to the typer app that runs it, and the line that `jan --help` shows."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Refusals and errors are told in words, never as a traceback. Exit status: 0 done, 1 failed, 2 refused or misused,
    130 interrupted.
    """
    from jan_core.errors import JanError
    from jan_core.garbage import seldom
    from jan_core.refusal import Refusal

    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            with seldom():
                _run(given)
        finally:
            if sys.stdout is not None:  # None where it was closed before the start
                sys.stdout.flush()  # here, where a reader that has gone can still be told from a failure
    except Refusal as refusal:
        print(f"jan: refused\n{refusal}", file=sys.stderr)
        sys.exit(2)
    except JanError as error:
        print(f"jan: {error.message}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\njan: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Whatever reads our output has gone; the flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print(f"jan: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        sys.exit(1)
    except Exception as error:  # a defect, of Jan or of a chosen package: told in a line, whole for who asks
        if os.environ.get("JAN_TRACEBACK"):
            raise
        kind = type(error).__name__
        print(f"jan: failed unexpectedly: {kind}: {error} (JAN_TRACEBACK=1 shows where)", file=sys.stderr)
        sys.exit(1)


def _run(given: list[str]) -> None:
    if not given or given[0] in ("--help", "-h", "help"):
        print(_help())
        return
    name, rest = given[0], given[1:]
    if name.startswith("-") and name != "--version":
        print(f"jan: options stand after the command, as in `jan serve {name}`; see `jan --help`.", file=sys.stderr)
        sys.exit(2)
    if name == "--version":
        from jan_core import __version__

        print(f"jan-core {__version__}")
        return
    known = COMMANDS if name in COMMANDS else {**_from_packages(rest), **COMMANDS}
    if name not in known:
        from difflib import get_close_matches

        close = get_close_matches(name, known, 1)
        hint = f"did you mean `jan {close[0]}`? " if close else ""
        print(f"jan: there is no command {name!r}; {hint}`jan --help` lists them.", file=sys.stderr)
        sys.exit(2)
    # Help as plain text: rich would cost a tenth of a second and is imported where progress is shown.
    os.environ.setdefault("TYPER_USE_RICH", "0")
    # Else pydantic reads the metadata of every installed package, imports each that offers it a plugin, chosen or not,
    # and fails where one of them is broken.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from jan_core.discovery import import_name

    app = import_name(known[name][0])
    if name in COMMANDS:
        app = _with_added(name, app, rest)
    app(args=rest, prog_name=f"jan {name}")


def _with_added(name: str, app: Typer, rest: Sequence[str]) -> Typer:
    """One of our commands, with what packages add to it where that is asked for."""
    from jan_core.cli.added import asks_for_more, paths_in, with_added
    from jan_core.config import load
    from jan_core.refusal import Refusal

    if not asks_for_more(app, rest):
        return app
    paths = paths_in(rest)
    try:
        return with_added(name, app, load(paths.get("--root"), paths.get("--config")))
    except Refusal as refusal:
        _left_out(refusal)
        return app


def _left_out(refusal: Refusal) -> None:
    print(f"jan: commands of packages are left out: {refusal.cause} (see jan doctor)", file=sys.stderr)


def _help() -> str:
    commands = {**COMMANDS, **{name: one for name, one in _from_packages([]).items() if name not in COMMANDS}}
    width = max(map(len, commands)) + 2
    lines = ["Usage: jan COMMAND [OPTIONS]", "", "A local, OpenAI-compatible server made of swappable parts.", ""]
    lines += ["Commands:", *(f"  {name:{width}}{line}" for name, (_, line) in commands.items()), ""]
    lines += ["Every command takes --root (or JAN_ROOT; default ~/jan), --config and --help.", "jan --version"]
    return "\n".join(lines)


def _from_packages(rest: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The commands of packages that the config chooses; none where it chooses nothing or cannot be read."""
    from jan_core.cli.added import paths_in
    from jan_core.config import load
    from jan_core.refusal import Refusal

    paths = paths_in(rest)
    try:
        config = load(paths.get("--root"), paths.get("--config"))
        if not config.tables.get("plugins") and not config.tables.get("endpoints"):
            return {}
        from jan_core.commands import commands

        return commands(config)
    except Refusal as refusal:
        _left_out(refusal)
        return {}
