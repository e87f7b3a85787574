"""What is asked of runs: to begin, to change, to go on, to be listed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from jan_core.schemas.assistants import Instructions, ModelId, Temperature, TopP
from jan_core.schemas.base import Request
from jan_core.schemas.common import MOST, Many, Metadata, Omittable
from jan_core.schemas.messages import MessageRequest
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.settings import SettingsLayer
from jan_core.schemas.threads import ThreadRequest
from jan_core.schemas.tools import (
    AssistantResponseFormat,
    AssistantTool,
    FunctionName,
    NewToolResources,
    ReasoningEffort,
    ToolResources,
)

RunTools = Annotated[Many[AssistantTool], Field(max_length=20)]
"""Up to 20 tools."""
RunTokens = Annotated[int, Field(ge=256, le=2**31 - 1)]
"""A number of tokens, at least 256."""

_SETTINGS = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")


class NamedFunction(Request):
    """A function by its name."""

    name: FunctionName
    """The name, as in `tools`."""


class FunctionToolChoice(Request):
    """Makes the model call one function."""

    type: Literal["function"]
    """Always `function`."""
    function: NamedFunction
    """Which one."""


class OtherToolChoice(Request):
    """Makes the model use a tool that is no function."""

    type: Literal["code_interpreter", "file_search"]
    """Which one."""


RunToolChoice = (
    Literal["none", "auto", "required"] | Annotated[FunctionToolChoice | OtherToolChoice, Field(discriminator="type")]
)
"""Whether the model uses tools: never, as it likes, always, or the named one."""


class TruncationStrategy(Request):
    """Which of the thread's messages the model is shown."""

    type: Literal["auto", "last_messages"]
    """`auto`: all of them, or as many of the newest as fit; `last_messages`: the newest ones, so many."""
    last_messages: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    """How many, for `last_messages`."""

    @model_validator(mode="after")
    def _check(self) -> TruncationStrategy:
        if (self.type == "last_messages") != (self.last_messages is not None):
            raise PydanticCustomError(
                "truncation", "`last_messages` with the type `last_messages`, and only with that type"
            )
        return self


class RunSettings(Request):
    """Who answers, and how. Every way to begin a run has these.

    A field that is None was not given, or was null: the value of the thread, the assistant or the model holds.
    """

    assistant_id: Annotated[str, Field(min_length=1, max_length=128)]
    """The assistant that answers."""
    model: ModelId | None = None
    """The model that answers, whatever the thread and the assistant say."""
    instructions: Instructions | None = None
    """What the model is told, in place of the assistant's instructions."""
    tools: RunTools | None = None
    """What it may use, in place of the assistant's tools."""
    metadata: Metadata | None = None
    """Pairs that are kept with the run."""
    temperature: Temperature | None = None
    """0 always takes the likeliest token; more makes answers more varied."""
    top_p: TopP | None = None
    """Only the likeliest tokens that together reach this probability are considered."""
    stream: bool | None = None
    """True: what happens comes as events."""
    max_prompt_tokens: RunTokens | None = None
    """The most tokens that the run may read, over all its steps; beyond it, it ends `incomplete`."""
    max_completion_tokens: RunTokens | None = None
    """The most tokens that the run may write, over all its steps; there it ends `incomplete`."""
    truncation_strategy: TruncationStrategy | None = None
    """Which of the thread's messages the model is shown; `auto` where it is left out."""
    tool_choice: RunToolChoice | None = None
    """Whether the model uses tools; `auto` where it is left out."""
    parallel_tool_calls: Omittable[bool] = None
    """False: at most one call at a time."""
    response_format: AssistantResponseFormat | None = None
    """The form of the answer, in place of the assistant's."""

    def layer(self) -> SettingsLayer:
        """What the request itself sets, for `jan_core.effective`: it goes before everything else."""
        given = self.model_dump(mode="json", include=set(_SETTINGS), exclude_unset=True)
        values = {name: value for name, value in given.items() if value is not None}
        return SettingsLayer(origin="the request", values=values)


class RunRequest(RunSettings):
    """A run to begin in a thread."""

    reasoning_effort: ReasoningEffort | None = None
    """How long the model thinks before it answers."""
    additional_instructions: Instructions | None = None
    """What the model is told after the instructions that hold."""
    additional_messages: Annotated[Many[MessageRequest], Field(max_length=MOST)] | None = None
    """Messages to add to the thread first, oldest first."""


class ThreadRunRequest(RunSettings):
    """A thread to make, and a run to begin in it."""

    thread: Omittable[ThreadRequest] = None
    """The thread; an empty one where it is left out."""
    tool_resources: ToolResources | None = None
    """What the tools may use in the thread; what `thread` itself says goes before, kind by kind."""

    def thread_request(self) -> ThreadRequest:
        """The thread to make."""
        thread = self.thread or ThreadRequest()
        if self.tool_resources is None:
            return thread
        kinds = self.tool_resources.model_dump(mode="json", exclude_unset=True)
        if thread.tool_resources is not None:
            kinds |= thread.tool_resources.model_dump(mode="json", exclude_unset=True)
        return ThreadRequest(
            **{name: getattr(thread, name) for name in thread.model_fields_set - {"tool_resources"}},
            tool_resources=NewToolResources.model_validate(kinds),
        )

    def run_request(self) -> RunRequest:
        """The run to begin in it."""
        names = self.model_fields_set - {"thread", "tool_resources"}
        return RunRequest(**{name: getattr(self, name) for name in names})


class RunUpdate(Request):
    """What is to change of a run. A field that is left out stays."""

    metadata: Metadata | None = None
    """The new pairs, all of them; null removes them."""


class ToolOutput(Request):
    """What came out of one call of a tool."""

    tool_call_id: Annotated[str, Field(min_length=1, max_length=256)]
    """The id of the call."""
    output: Omittable[str] = None
    """What came out, for the model to read; left out, it is empty."""


class ToolOutputsRequest(Request):
    """The outputs of all calls that a run waits for."""

    tool_outputs: Annotated[Many[ToolOutput], Field(max_length=MOST)]
    """One output for each call, in any order."""
    stream: bool | None = None
    """True: what happens then comes as events."""


class RunsQuery(PageQuery):
    """Which runs to list."""


def _bracketed(value: Any) -> Any:
    """In a URL it is `include[]=…`, which is read as a pair without a key."""
    return [*value.values()] if isinstance(value, dict) else value


class RunStepQuery(Request):
    """What to show of a step."""

    include: (
        Annotated[
            list[Literal["step_details.tool_calls[*].file_search.results[*].content"]], BeforeValidator(_bracketed)
        ]
        | None
    ) = None
    """What is otherwise left out: the passages that a search in files found. In a URL `include[]`."""


class RunStepsQuery(PageQuery, RunStepQuery):
    """Which steps to list, and what to show of them."""
