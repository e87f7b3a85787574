"""openai-agents against a server, as its users write it."""

from __future__ import annotations

from typing import Literal

import agents
import openai
from pydantic import BaseModel
from told import NOWHERE, base_url, model, tell

agents.set_tracing_disabled(True)  # otherwise it reports every run to the company that wrote it


def local(name: str | None = None, url: str | None = None) -> agents.OpenAIChatCompletionsModel:
    client = openai.AsyncOpenAI(base_url=url or base_url(), api_key="none", max_retries=0, timeout=120)
    return agents.OpenAIChatCompletionsModel(model=name or model(), openai_client=client)


class Animal(BaseModel):
    """A structured answer whose every value is one of a few."""

    kind: Literal["cat", "dog"]
    tame: bool


@agents.function_tool
def get_weather(city: Literal["Hanoi", "Paris"]) -> str:
    """The weather of a city."""
    return f"In {city} it is warm"


async def chat() -> dict[str, object]:
    agent = agents.Agent(name="Jan", instructions="Be brief.", model=local())
    result = await agents.Runner.run(agent, "Say hello in three words.")
    return {"text": result.final_output, "output_tokens": result.context_wrapper.usage.output_tokens}


async def streamed() -> dict[str, object]:
    agent = agents.Agent(name="Jan", instructions="Be brief.", model=local())
    result = agents.Runner.run_streamed(agent, "Say hello in three words.")
    pieces = []
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            pieces.append(event.data.delta)
    return {"text": "".join(pieces), "final": result.final_output}


async def tools() -> dict[str, object]:
    settings = agents.ModelSettings(tool_choice="required", parallel_tool_calls=False)
    agent = agents.Agent(
        name="Jan", instructions="Use the tool.", model=local(), tools=[get_weather], model_settings=settings
    )
    # Once a tool has been called the agent asks with tool_choice "auto": the model then answers, or calls again.
    try:
        result = await agents.Runner.run(agent, "How is the weather in Hanoi?", max_turns=2)
    except agents.MaxTurnsExceeded as ended:
        items, text = ended.run_data.new_items, None
    else:
        items, text = result.new_items, result.final_output
    outputs = [item.output for item in items if item.type == "tool_call_output_item"]
    return {"text": text, "outputs": outputs}


async def tools_streamed() -> list[str]:
    agent = agents.Agent(
        name="Jan",
        model=local(),
        tools=[get_weather],
        model_settings=agents.ModelSettings(tool_choice="get_weather"),
        tool_use_behavior="stop_on_first_tool",
    )
    result = agents.Runner.run_streamed(agent, "How is the weather in Paris?")
    kinds = [event.name async for event in result.stream_events() if event.type == "run_item_stream_event"]
    return [*kinds, result.final_output]


async def structured() -> dict[str, object]:
    agent = agents.Agent(name="Jan", model=local(), output_type=Animal)
    result = await agents.Runner.run(agent, "Describe a cat.")
    return result.final_output.model_dump()


async def error_of(one: agents.OpenAIChatCompletionsModel) -> dict[str, object]:
    try:
        await agents.Runner.run(agents.Agent(name="Jan", model=one), "Hello")
    except openai.APIError as error:
        return {"kind": type(error).__name__, "code": error.code}
    raise AssertionError("no error")


async def no_model() -> dict[str, object]:
    return await error_of(local(name="no-such-model"))


async def nobody_there() -> dict[str, object]:
    return await error_of(local(url=NOWHERE))


tell(chat, streamed, tools, tools_streamed, structured, no_model, nobody_there)
