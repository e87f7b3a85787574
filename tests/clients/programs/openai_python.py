"""openai-python against a server, as its users write it."""

from __future__ import annotations

from typing import Literal

import openai
from pydantic import BaseModel
from told import NOWHERE, base_url, model, tell

client = openai.OpenAI(base_url=base_url(), api_key="none", max_retries=0, timeout=120)
SAY = [{"role": "user", "content": "Say hello in three words."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Hanoi", "Paris"]}, "days": {"enum": [1, 2, 3]}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}


class Animal(BaseModel):
    """A structured answer whose every value is one of a few."""

    kind: Literal["cat", "dog"]
    legs: Literal[2, 4]
    tame: bool


def chat() -> dict[str, object]:
    reply = client.chat.completions.create(model=model(), messages=SAY)
    return reply.model_dump()


def streamed() -> dict[str, object]:
    with client.chat.completions.stream(model=model(), messages=SAY, stream_options={"include_usage": True}) as stream:
        text = "".join(event.delta for event in stream if event.type == "content.delta")
        return {"text": text, "final": stream.get_final_completion().model_dump()}


async def streamed_async() -> str:
    async with openai.AsyncOpenAI(base_url=base_url(), api_key="none", max_retries=0) as other:
        chunks = await other.chat.completions.create(model=model(), messages=SAY, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])


def models() -> list[str]:
    return [one.id for one in client.models.list()]


def tools() -> dict[str, object]:
    asked = [{"role": "user", "content": "How is the weather in Hanoi?"}]
    first = client.chat.completions.create(
        model=model(), messages=asked, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False
    )
    message = first.choices[0].message
    answers = [{"role": "tool", "tool_call_id": call.id, "content": "warm, 31 degrees"} for call in message.tool_calls]
    then = [*asked, message.model_dump(exclude_none=True), *answers]
    second = client.chat.completions.create(model=model(), messages=then, tools=[WEATHER], tool_choice="none")
    return {"first": first.model_dump(), "second": second.model_dump()}


def tools_streamed() -> dict[str, object]:
    asked = [{"role": "user", "content": "How is the weather in Hanoi?"}]
    choice = {"type": "function", "function": {"name": "get_weather"}}
    with client.chat.completions.stream(model=model(), messages=asked, tools=[WEATHER], tool_choice=choice) as stream:
        kinds = [event.type for event in stream]
        return {"kinds": kinds, "final": stream.get_final_completion().model_dump()}


def structured() -> dict[str, object]:
    asked = [{"role": "user", "content": "Describe a cat."}]
    reply = client.chat.completions.parse(model=model(), messages=asked, response_format=Animal)
    return reply.choices[0].message.parsed.model_dump()


def structured_streamed() -> dict[str, object]:
    asked = [{"role": "user", "content": "Describe a dog."}]
    with client.chat.completions.stream(model=model(), messages=asked, response_format=Animal) as stream:
        return stream.get_final_completion().choices[0].message.parsed.model_dump()


def error_of(**request: object) -> dict[str, object]:
    try:
        client.chat.completions.create(**{"model": model(), "messages": SAY, **request})
    except openai.APIStatusError as error:
        return {"kind": type(error).__name__, "status": error.status_code, "code": error.code, "param": error.param}
    raise AssertionError("no error")


def no_model() -> dict[str, object]:
    return error_of(model="no-such-model")


def bad_value() -> dict[str, object]:
    return error_of(temperature=99)


def nobody_there() -> str:
    try:
        client.with_options(base_url=NOWHERE).models.list()
    except openai.APIConnectionError as error:
        return type(error).__name__
    raise AssertionError("no error")


tell(
    *(chat, streamed, streamed_async, models, tools, tools_streamed, structured, structured_streamed),
    *(no_model, bad_value, nobody_there),
)
