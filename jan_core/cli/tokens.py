"""`jan tokenize` and `jan detokenize`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from jan_core.cli.options import ConfigFile, Json, Root
from jan_core.cli.within import endpoint, request, text_of, within

if TYPE_CHECKING:
    from jan_core.app import Jan

tokenize_app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
detokenize_app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

Model = Annotated[str, typer.Argument(help="Which model.")]


@tokenize_app.command()
def tokenize(
    model: Model,
    text: Annotated[str, typer.Argument(help="The text; - reads it from stdin.")],
    special: Annotated[bool, typer.Option("--special", help="Read marks such as <|im_end|> as one token.")] = False,
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Cut a text into a model's tokens: a line each, its number and its text."""
    given = text_of(text, "TEXT")

    async def work(jan: Jan) -> None:
        from jan_core.schemas.completions import TokenizeRequest

        body = request(TokenizeRequest, model=model, text=given, special=special)
        found = await endpoint(jan, "completions").tokenize(body)
        if as_json:
            print(json.dumps([one.model_dump(mode="json") for one in found], ensure_ascii=False))
        else:
            for one in found:
                print(f"{one.id}\t{json.dumps(one.text, ensure_ascii=False)}")

    within(root, config, work)


@detokenize_app.command()
def detokenize(
    model: Model,
    tokens: Annotated[list[int], typer.Argument(min=0, help="The tokens' numbers.")],
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Print the text of tokens."""

    async def work(jan: Jan) -> None:
        from jan_core.schemas.completions import DetokenizeRequest

        found = await endpoint(jan, "completions").detokenize(request(DetokenizeRequest, model=model, tokens=tokens))
        print(json.dumps(found, ensure_ascii=False) if as_json else found)

    within(root, config, work)
