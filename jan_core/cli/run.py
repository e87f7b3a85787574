"""`jan run`."""

from __future__ import annotations

import json
import math
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Json, Root
from jan_core.cli.within import endpoint, json_of, request, text_of, typed, within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jan_core.app import Jan

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)

_MOST_LIKELY = {False: 20, True: 5}
"""Likely tokens that the API tells for each place: in chat, and with `--raw`."""


@app.command()
def run(
    model: Annotated[str, typer.Argument(help="Which model.")],
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What to ask; - reads it from stdin.")],
    system: Annotated[str | None, typer.Option(help="What the model is told before.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Go on with the prompt as it stands, without a template.")] = False,
    json_schema: Annotated[
        str | None, typer.Option(metavar="FILE|JSON", help="A JSON schema that the answer is made to fit.")
    ] = None,
    logprobs: Annotated[
        int | None, typer.Option(min=0, max=20, help="A line a token: how likely it was, and this many others.")
    ] = None,
    temperature: Annotated[float | None, typer.Option(min=0, max=2, help="0 is the likeliest answer.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Consider tokens up to this probability.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; up to four times.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same answer.")] = None,
    root: Root = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Ask a model once, without a server, and print the answer as it comes."""
    if raw and (system is not None or json_schema is not None):
        wrong = "--system" if system is not None else "--json-schema"
        raise typer.BadParameter("there is none without the chat template; leave out --raw", param_hint=wrong)
    if logprobs is not None and logprobs > _MOST_LIKELY[raw]:
        raise typer.BadParameter(f"with --raw at most {_MOST_LIKELY[raw]}", param_hint="--logprobs")
    asked: dict[str, Any] = {
        "model": model,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "stop": [typed(one) for one in stop] if stop else None,
        "seed": seed,
    }
    text = text_of(prompt, "--prompt")
    if raw:
        asked |= {"prompt": text, "logprobs": logprobs}
    else:
        before = [{"role": "system", "content": typed(system)}] if system else []
        asked |= {"messages": [*before, {"role": "user", "content": text}]}
        if logprobs is not None:
            asked |= {"logprobs": True, "top_logprobs": logprobs}
        if json_schema is not None:
            schema = json_of(json_schema, "--json-schema")
            asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    name = "completions" if raw else "chat"

    async def work(jan: Jan) -> None:
        if as_json:
            reply = await endpoint(jan, name).create(_body(raw, asked))
            print(json.dumps(reply.model_dump(mode="json"), indent=2, ensure_ascii=False))
        else:
            await _print(endpoint(jan, name).create_stream(_body(raw, {**asked, "stream": True})), logprobs is not None)

    within(root, config, work)


def _body(raw: bool, asked: dict[str, Any]) -> Any:
    if raw:
        from jan_core.schemas.completions import CompletionRequest

        return request(CompletionRequest, **asked)
    from jan_core.schemas.chat import ChatCompletionRequest

    return request(ChatCompletionRequest, **asked)


async def _print(chunks: AsyncIterator[Any], by_token: bool) -> None:
    """Print an answer piece by piece, or token by token with how likely each was."""
    reason, ended = None, True
    try:
        async with aclosing(chunks) as events:  # type: ignore[type-var]
            async for chunk in events:
                for choice in chunk.choices:
                    reason = choice.finish_reason or reason
                    if by_token:
                        for line in _lines(choice.logprobs):
                            print(line, flush=True)
                        continue
                    text = choice.text if hasattr(choice, "text") else choice.delta.content
                    if text:
                        print(text, end="", flush=True)
                        ended = text.endswith("\n")
    finally:
        if not ended:
            print(flush=True)
    if reason == "length":
        print("(cut short: the answer reached its limit of tokens)", file=sys.stderr)


def _lines(logprobs: Any) -> list[str]:
    """A line for each token: its text and its probability, then the same of the likeliest others in its place."""
    if logprobs is None:
        return []
    if hasattr(logprobs, "content"):
        told = [
            (one.token, one.logprob, {other.token: other.logprob for other in one.top_logprobs})
            for one in logprobs.content or ()
        ]
    else:
        told = list(zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs, strict=True))
    return [
        "\t".join([_likely(token, logprob), *(_likely(*other) for other in likeliest.items() if other[0] != token)])
        for token, logprob, likeliest in told
    ]


def _likely(token: str, logprob: float) -> str:
    return f"{json.dumps(token, ensure_ascii=False)} {math.exp(logprob):.2%}"
