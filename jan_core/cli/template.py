"""`jan template`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from jan_core.cli.options import ConfigFile, Json, Root
from jan_core.cli.within import endpoint, json_of, request, within

if TYPE_CHECKING:
    from jan_core.app import Jan

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def template(
    model: Annotated[str, typer.Argument(help="Which model.")],
    messages: Annotated[
        str, typer.Argument(metavar="FILE|JSON|-", help="Messages, or a whole chat request, as JSON; - is stdin.")
    ] = "-",
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Print the prompt that a conversation becomes by the model's chat template."""
    given = json_of(messages, "FILE|JSON|-")
    if not isinstance(given, list | dict):
        raise typer.BadParameter("it must be an array of messages, or an object with one", param_hint="FILE|JSON|-")
    asked = {**(given if isinstance(given, dict) else {"messages": given}), "model": model}

    async def work(jan: Jan) -> None:
        from jan_core.schemas.chat import ChatCompletionRequest

        prompt = await endpoint(jan, "chat").template(request(ChatCompletionRequest, **asked))
        print(json.dumps(prompt, ensure_ascii=False) if as_json else prompt)

    within(root, config, work)
