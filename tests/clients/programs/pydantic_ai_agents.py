"""pydantic-ai against a server, as its users write it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, RunContext, ToolOutput
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from told import NOWHERE, base_url, model, tell


def local(name: str | None = None, url: str | None = None) -> OpenAIChatModel:
    return OpenAIChatModel(name or model(), provider=OpenAIProvider(base_url=url or base_url(), api_key="none"))


ONE_CALL = ModelSettings(parallel_tool_calls=False)
"""A model this small would go on calling."""


class Animal(BaseModel):
    """A structured answer whose every value is one of a few."""

    kind: Literal["cat", "dog"]
    tame: bool


async def chat() -> dict[str, object]:
    result = await Agent(local(), instructions="Be brief.").run("Say hello in three words.")
    return {"text": result.output, "output_tokens": result.usage.output_tokens}


async def streamed() -> str:
    async with Agent(local(), instructions="Be brief.").run_stream("Say hello in three words.") as result:
        return "".join([piece async for piece in result.stream_text(delta=True)])


async def structured_by_schema() -> dict[str, object]:
    result = await Agent(local(), output_type=NativeOutput(Animal)).run("Describe a cat.")
    return result.output.model_dump()


async def structured_by_tool() -> dict[str, object]:
    result = await Agent(local(), output_type=ToolOutput(Animal), model_settings=ONE_CALL).run("Describe a cat.")
    return result.output.model_dump()


async def structured_streamed() -> dict[str, object]:
    async with Agent(local(), output_type=ToolOutput(Animal), model_settings=ONE_CALL).run_stream(
        "Describe a dog."
    ) as result:
        return (await result.get_output()).model_dump()


async def tools() -> dict[str, object]:
    called = []
    agent = Agent(local(), output_type=ToolOutput(Animal), model_settings=ONE_CALL)

    async def until_called(_: RunContext[None], tool: ToolDefinition) -> ToolDefinition | None:
        return None if called else tool

    @agent.tool_plain(prepare=until_called)
    def look(where: Literal["garden", "house"]) -> str:
        """Look for an animal."""
        called.append(where)
        return f"There is a cat in the {where}"

    # The agent asks with "required" for one of the two tools, `look` or the one that ends the run.
    result = await agent.run("Look for the animal in the garden, then describe it.")
    return {"called": called, "output": result.output.model_dump()}


async def no_model() -> dict[str, object]:
    try:
        await Agent(local(name="no-such-model")).run("Hello")
    except ModelHTTPError as error:
        return {"status": error.status_code, "body": error.body}
    raise AssertionError("no error")


async def nobody_there() -> str:
    try:
        await Agent(local(url=NOWHERE)).run("Hello")
    except ModelAPIError as error:
        return type(error).__name__
    raise AssertionError("no error")


tell(
    *(chat, streamed, structured_by_schema, structured_by_tool, structured_streamed, tools),
    *(no_model, nobody_there),
)
