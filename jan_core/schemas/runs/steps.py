"""The steps of a run: what it did, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from jan_core.schemas.base import Reply, optional
from jan_core.schemas.stored import StoredPairs, UnixTime

if TYPE_CHECKING:
    from jan_core.schemas.common import CompletionUsage
    from jan_core.schemas.runs.run import RunError

StepStatus = Literal["in_progress", "cancelled", "failed", "completed", "expired"]
"""Where a step stands."""


class RunUsage(Reply):
    """How many tokens were read and written."""

    prompt_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens that the model was given."""
    completion_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens that it wrote."""
    total_tokens: Annotated[int, Field(ge=0)] = 0
    """The sum of both."""

    @classmethod
    def of(cls, usage: CompletionUsage | None) -> RunUsage:
        """What a completion took; nothing where nobody says."""
        if usage is None:
            return cls()
        return cls(
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            total_tokens=usage.total_tokens,
        )

    def plus(self, other: RunUsage) -> RunUsage:
        """The sum of two."""
        return RunUsage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
        )


class StepError(Reply):
    """Why a step failed."""

    code: Literal["server_error", "rate_limit_exceeded"]
    """The kind of error."""
    message: str
    """What went wrong, for a person."""

    @classmethod
    def of(cls, error: RunError) -> StepError:
        """The error of the run, as its step has it: a step knows fewer kinds."""
        code = error.code if error.code != "invalid_prompt" else "server_error"
        return cls(code=code, message=error.message)


class MessageCreation(Reply):
    """The message that a step made."""

    message_id: str
    """The message's id."""


class MessageCreationDetails(Reply):
    """The step says something."""

    type: Literal["message_creation"] = "message_creation"
    """Always `message_creation`."""
    message_creation: MessageCreation
    """What it says."""


class FunctionStepCallBody(Reply):
    """A call of a function, and its output."""

    name: str
    """The function."""
    arguments: str
    """Its arguments as JSON text, as the model wrote it: it may be invalid."""
    output: str | None = None
    """What came out; null as long as it was not given."""


class FunctionStepCall(Reply):
    """A tool call: a function of the client."""

    id: str
    """The call's id."""
    type: Literal["function"] = "function"
    """Always `function`."""
    function: FunctionStepCallBody
    """The call and its output."""


class CodeLogs(Reply):
    """What code printed."""

    type: Literal["logs"] = "logs"
    """Always `logs`."""
    logs: str
    """The text."""


class CodeImageFile(Reply):
    """An image that code made."""

    file_id: str
    """The file's id."""


class CodeImage(Reply):
    """An image that code made."""

    type: Literal["image"] = "image"
    """Always `image`."""
    image: CodeImageFile
    """The image."""


class CodeRun(Reply):
    """Code that was run."""

    input: str
    """The code."""
    outputs: list[Annotated[CodeLogs | CodeImage, Field(discriminator="type")]]
    """What it printed and made."""


class CodeStepCall(Reply):
    """A tool call: code."""

    id: str
    """The call's id."""
    type: Literal["code_interpreter"] = "code_interpreter"
    """Always `code_interpreter`."""
    code_interpreter: CodeRun
    """The code and what came out."""


class SearchRanking(Reply):
    """How findings were ranked."""

    ranker: Literal["auto", "default_2024_08_21"]
    """What ranked them."""
    score_threshold: Annotated[float, Field(ge=0, le=1)]
    """Findings below this score were left out."""


class FoundText(Reply):
    """A passage that a search found."""

    type: Literal["text"] = "text"
    """Always `text`."""
    text: str
    """The passage."""


class SearchResult(Reply):
    """A file that a search found."""

    file_id: str
    """The file's id."""
    file_name: str
    """Its name."""
    score: Annotated[float, Field(ge=0, le=1)]
    """How well it fits."""
    content: list[FoundText] | None = optional()
    """The passages, where they were asked for with `include[]`."""


class FileSearchRun(Reply):
    """A search in files."""

    ranking_options: SearchRanking | None = optional()
    """How findings were ranked."""
    results: list[SearchResult] | None = optional()
    """What was found."""


class FileSearchStepCall(Reply):
    """A tool call: a search in files."""

    id: str
    """The call's id."""
    type: Literal["file_search"] = "file_search"
    """Always `file_search`."""
    file_search: FileSearchRun
    """The search and what it found."""


StepCall = Annotated[CodeStepCall | FileSearchStepCall | FunctionStepCall, Field(discriminator="type")]
"""A tool call of a step, told apart by `type`."""


class ToolCallsDetails(Reply):
    """The step calls tools."""

    type: Literal["tool_calls"] = "tool_calls"
    """Always `tool_calls`."""
    tool_calls: list[StepCall]
    """The calls, in order."""


class RunStep(Reply):
    """One thing that a run did."""

    id: str
    """The step's id."""
    object: Literal["thread.run.step"] = "thread.run.step"
    """Always `thread.run.step`."""
    created_at: UnixTime
    """When it began, in Unix seconds."""
    assistant_id: str
    """The assistant that answers."""
    thread_id: str
    """The thread."""
    run_id: str
    """The run that it is a step of."""
    type: Literal["message_creation", "tool_calls"]
    """What it does: say something, or call tools."""
    status: StepStatus = "in_progress"
    """Where it stands."""
    step_details: Annotated[MessageCreationDetails | ToolCallsDetails, Field(discriminator="type")]
    """What it says, or calls."""
    last_error: StepError | None = None
    """Why it failed, where it did."""
    expired_at: UnixTime | None = None
    """When it expired, with its run."""
    cancelled_at: UnixTime | None = None
    """When it was cancelled, with its run."""
    failed_at: UnixTime | None = None
    """When it failed, with its run."""
    completed_at: UnixTime | None = None
    """When it was done."""
    metadata: StoredPairs = Field(default_factory=dict)
    """Pairs that are kept with it; always empty."""
    usage: RunUsage | None = None
    """What it took; null while it is in progress."""


class RunStepPage(Reply):
    """A page of steps."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[RunStep]
    """The steps of this page."""
    first_id: str | None
    """Id of the first of them; null on an empty page."""
    last_id: str | None
    """Id of the last of them; null on an empty page. Give it as `after` for the next page."""
    has_more: bool
    """True where further steps follow in this direction."""
