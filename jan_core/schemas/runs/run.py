"""A run: an assistant that answers in a thread."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from jan_core.errors import InvalidRequest, JanError
from jan_core.schemas.base import Reply, optional
from jan_core.schemas.runs.requests import (
    FunctionToolChoice,
    RunRequest,
    RunToolChoice,
    RunUpdate,
    TruncationStrategy,
)
from jan_core.schemas.runs.steps import RunUsage as RunUsage
from jan_core.schemas.stored import StoredPairs, UnixTime
from jan_core.schemas.tools import AssistantFunctionTool, AssistantResponseFormat, AssistantTool, ReasoningEffort

if TYPE_CHECKING:
    from collections.abc import Sequence

RunStatus = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "failed",
    "completed",
    "incomplete",
    "expired",
]
"""Where a run stands."""

ENDED: frozenset[RunStatus] = frozenset({"cancelled", "failed", "completed", "incomplete", "expired"})
"""Where a run stands that changes no more."""


class CalledRunFunction(Reply):
    """A call of a function."""

    name: str
    """The function."""
    arguments: str
    """Its arguments as JSON text, as the model wrote it: it may be invalid."""


class RunToolCall(Reply):
    """A call whose output a run waits for."""

    id: str
    """The call's id; the output names it."""
    type: Literal["function"] = "function"
    """Always `function`."""
    function: CalledRunFunction
    """The call."""

    @classmethod
    def of(cls, id: str, name: str, arguments: str) -> RunToolCall:
        """The call of a function."""
        return cls(id=id, function=CalledRunFunction(name=name, arguments=arguments))


class RequiredOutputs(Reply):
    """The outputs that a run waits for."""

    tool_calls: list[RunToolCall]
    """The calls."""


class RequiredAction(Reply):
    """What a run waits for."""

    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"
    """Always `submit_tool_outputs`."""
    submit_tool_outputs: RequiredOutputs
    """The outputs of which calls."""

    @classmethod
    def of(cls, calls: Sequence[RunToolCall]) -> RequiredAction:
        """The outputs of these calls."""
        return cls(submit_tool_outputs=RequiredOutputs(tool_calls=list(calls)))


class RunError(Reply):
    """Why a run failed."""

    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
    """The kind of error."""
    message: str
    """What went wrong, for a person."""

    @classmethod
    def of(cls, error: JanError) -> RunError:
        """What a failed completion means for the run that asked for it.

        A full queue is `rate_limit_exceeded`; what the server cannot help is `server_error`; everything else lies in
        what was asked: `invalid_prompt`.
        """
        if error.status == 429:
            return cls(code="rate_limit_exceeded", message=error.message)
        return cls(code="server_error" if error.status >= 500 else "invalid_prompt", message=error.message)


class RunIncompleteDetails(Reply):
    """Why a run ended before its answer was whole."""

    reason: Literal["max_completion_tokens", "max_prompt_tokens"]
    """Which limit was reached."""


class Run(Reply):
    """An assistant that answers in a thread."""

    id: str
    """The run's id."""
    object: Literal["thread.run"] = "thread.run"
    """Always `thread.run`."""
    created_at: UnixTime
    """When it was created, in Unix seconds."""
    thread_id: str
    """The thread it answers in."""
    assistant_id: str
    """The assistant that answers."""
    status: RunStatus = "queued"
    """Where it stands."""
    required_action: RequiredAction | None = None
    """What it waits for, where it is `requires_action`."""
    last_error: RunError | None = None
    """Why it failed, where it did."""
    expires_at: UnixTime | None = None
    """When it expires, where it waits until then; null once it has ended otherwise."""
    started_at: UnixTime | None = None
    """When it first went on from `queued`."""
    cancelled_at: UnixTime | None = None
    """When it was `cancelled`."""
    failed_at: UnixTime | None = None
    """When it `failed`."""
    completed_at: UnixTime | None = None
    """When it ended `completed` or `incomplete`."""
    incomplete_details: RunIncompleteDetails | None = None
    """Why it is `incomplete`, where it is."""
    model: str
    """The model that answers."""
    instructions: str = ""
    """What the model is told, with the additional instructions of the request."""
    tools: list[AssistantTool] = Field(default_factory=list)
    """What it may use."""
    metadata: StoredPairs = Field(default_factory=dict)
    """Pairs that are kept with it."""
    usage: RunUsage | None = None
    """What all its steps took; null until it has ended."""
    temperature: float | None = None
    """0 always takes the likeliest token; null where nothing sets it."""
    top_p: float | None = None
    """Only the likeliest tokens that together reach this probability are considered; null where nothing sets it."""
    max_prompt_tokens: int | None = None
    """The most tokens that it may read."""
    max_completion_tokens: int | None = None
    """The most tokens that it may write."""
    truncation_strategy: TruncationStrategy = Field(default_factory=lambda: TruncationStrategy(type="auto"))
    """Which of the thread's messages the model is shown."""
    tool_choice: RunToolChoice = "auto"
    """Whether the model uses tools."""
    parallel_tool_calls: bool = True
    """False: at most one call at a time."""
    response_format: AssistantResponseFormat = "auto"
    """The form of the answer."""
    reasoning_effort: ReasoningEffort | None = optional()
    """How long the model thinks before it answers."""

    @property
    def ended(self) -> bool:
        """True where it changes no more, its metadata apart."""
        return self.status in ENDED

    @classmethod
    def of(
        cls,
        body: RunRequest,
        *,
        id: str,
        thread_id: str,
        created_at: int,
        expires_at: int | None,
        settings: Mapping[str, Any],
        own: Collection[str] = (),
    ) -> Run:
        """The run that a request asks for, `queued`.

        Args:
            body: the request.
            id: the run's id.
            thread_id: the thread it is for.
            created_at: now, in Unix seconds.
            expires_at: when it expires, in Unix seconds; None for never.
            settings: the values that hold, by field: those of `jan_core.effective` with `body.layer()` before all
                others.
            own: names of functions that the assistant has besides, and that `tool_choice` may ask for.

        Raises:
            InvalidRequest: no model is known (`model_required`), `tool_choice` names no tool that is there
                (`unknown_tool`), or a value that holds cannot be used (`invalid_setting`).
        """
        model = settings.get("model")
        if model is None:
            raise InvalidRequest(
                "No model is named by the request, the thread or the assistant, and none is installed; name one.",
                param="model",
                code="model_required",
            )
        instructions = [settings.get("instructions"), body.additional_instructions]
        try:
            run = cls(
                id=id,
                thread_id=thread_id,
                created_at=created_at,
                expires_at=expires_at,
                assistant_id=body.assistant_id,
                model=model,
                instructions="\n".join(text for text in instructions if text),
                tools=settings.get("tools") or [],
                metadata=body.metadata or {},
                temperature=settings.get("temperature"),
                top_p=settings.get("top_p"),
                max_prompt_tokens=body.max_prompt_tokens,
                max_completion_tokens=body.max_completion_tokens,
                truncation_strategy=body.truncation_strategy or TruncationStrategy(type="auto"),
                tool_choice=body.tool_choice or "auto",
                parallel_tool_calls=body.parallel_tool_calls is not False,
                response_format=settings.get("response_format") or "auto",
                reasoning_effort=settings.get("reasoning_effort"),
            )
        except (ValidationError, TypeError) as error:
            raise _unusable(error) from None
        run._check_tool_choice(own)
        return run

    def _check_tool_choice(self, own: Collection[str]) -> None:
        """Raise `InvalidRequest` where the choice names no tool that is there."""
        choice = self.tool_choice
        if isinstance(choice, str):
            there, wanted = choice != "required" or bool(self.tools or own), "any tool"
        elif isinstance(choice, FunctionToolChoice):
            names = {tool.function.name for tool in self.tools if isinstance(tool, AssistantFunctionTool)}
            there, wanted = choice.function.name in {*names, *own}, f"the function {choice.function.name!r}"
        else:
            there, wanted = choice.type in {tool.type for tool in self.tools}, f"the tool {choice.type!r}"
        if not there:
            raise InvalidRequest(
                f"tool_choice asks for {wanted}, which is not among the tools of the run; add it to tools.",
                param="tool_choice",
                code="unknown_tool",
            )

    def changed(self, body: RunUpdate) -> Run:
        """A copy with the fields that the body has."""
        if "metadata" not in body.model_fields_set:
            return self
        return self.model_copy(update={"metadata": body.metadata or {}})


def _unusable(error: ValidationError | TypeError) -> InvalidRequest:
    """What to say of a setting that an assistant, a thread or a model has and that cannot be used."""
    if isinstance(error, TypeError):
        return InvalidRequest("The instructions that hold are no text.", param="instructions", code="invalid_setting")
    first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0])
    return InvalidRequest(
        f"The {name} that holds for this run cannot be used: {first['msg']}. Give another one with the request, or "
        "mend it where it is set.",
        param=name,
        code="invalid_setting",
    )


class RunPage(Reply):
    """A page of runs."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Run]
    """The runs of this page."""
    first_id: str | None
    """Id of the first of them; null on an empty page."""
    last_id: str | None
    """Id of the last of them; null on an empty page. Give it as `after` for the next page."""
    has_more: bool
    """True where further runs follow in this direction."""
