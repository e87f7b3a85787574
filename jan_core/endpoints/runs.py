"""`/v1/threads/{thread_id}/runs`: an assistant answers in a thread.

Source of the shapes: OpenAI's API reference, resources "Runs" and "Run steps" (Assistants v2), and "Streaming" for the
events.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from jan_core.endpoint import Endpoint, internal, operation
from jan_core.errors import NotSupported

if TYPE_CHECKING:
    from jan_core.schemas.runs import (
        KeptRun,
        Run,
        RunEvent,
        RunPage,
        RunRequest,
        RunsQuery,
        RunStep,
        RunStepPage,
        RunStepQuery,
        RunStepsQuery,
        RunUpdate,
        ThreadRunRequest,
        ToolOutputsRequest,
        Unfinished,
    )


POLL = {"openai-poll-after-ms": "100"}
"""How long the official clients wait between two looks at a run, where their caller does not say it: milliseconds.

Without it openai-python waits for one second and openai-node for five, made for a server far away.
"""


class Runs(Endpoint):
    """The runs of threads, and their steps.

    A run is `queued`, then `in_progress`, and ends `completed`, `failed`, `incomplete`, `cancelled` or `expired`. In
    between it may wait in `requires_action` for outputs of tools, which bring it back to `queued`, and is `cancelling`
    until a cancelled generation has stopped. What has ended changes no more, its `metadata` apart. A thread has at
    most one run that has not ended, in whatever process it goes on.

    A run goes on by itself: nobody needs to listen, and whoever leaves a stream loses nothing but the stream. Its
    answer enters the thread once, through `messages.put`, when it is finished; until then it is what `unfinished`
    says. A run that was created is there from then on, also after a power cut, and after a crash it either goes on or
    ends `failed` with a reason: no step and no message is made twice, and none stays in progress for ever.

    What answers, and with which settings, is what holds where the run is created (`jan_core.effective`): the run's own
    values, then those of the thread, the assistant and the model. A run keeps them; later changes do not reach it.
    """

    name: ClassVar[str] = "runs"
    schemas: ClassVar[str] = "jan_core.schemas.runs"
    needs: ClassVar[tuple[str, ...]] = ("threads", "messages", "chat")
    unasked: ClassVar[bool] = True

    @operation("POST /v1/threads/{thread_id}/runs", headers=POLL)
    @abstractmethod
    async def create(self, thread_id: str, body: RunRequest) -> Run:
        """Begin a run, and return it as it is then, `queued`; its id begins with `run_`.

        `additional_messages` are added to the thread first, all or none. With an `Idempotency-Key` a repeated request
        begins nothing and gets the run of the first, as it was then, whatever became of its assistant.

        Raises:
            NotFound: there is no such thread, or no such assistant.
            InvalidRequest: the thread has a run that has not ended (`run_active`), the model is not there
                (`model_not_found`), or a value cannot be used.
            Busy: more runs go on already than may.
            Conflict: the `Idempotency-Key` came before with another body.
        """

    @operation("POST /v1/threads/{thread_id}/runs", stream=True)
    @abstractmethod
    def create_stream(self, thread_id: str, body: RunRequest) -> AsyncIterator[RunEvent]:
        """Begin a run, and return what happens: `thread.run.created` first, then every event until it waits or ends.

        The events of a message and of a step stand between their `created` and the event that ends them; deltas add
        up to what is stored. The last one is of the run: `thread.run.completed`, `.requires_action`, `.failed`, ….
        A request that is repeated under its `Idempotency-Key` gets the same, once that run waits or has ended.
        """

    @operation("POST /v1/threads/runs", headers=POLL)
    @abstractmethod
    async def create_thread(self, body: ThreadRunRequest) -> Run:
        """Make a thread (`threads.create`), and begin a run in it.

        Raises:
            NotFound: there is no such assistant; no thread is made then.
            InvalidRequest, Conflict: as `create`, and as `threads.create`.
        """

    @operation("POST /v1/threads/runs", stream=True)
    @abstractmethod
    def create_thread_stream(self, body: ThreadRunRequest) -> AsyncIterator[RunEvent]:
        """Make a thread, begin a run in it, and return what happens, `thread.created` first."""

    @operation("GET /v1/threads/{thread_id}/runs")
    @abstractmethod
    async def list(self, thread_id: str, query: RunsQuery) -> RunPage:
        """List the runs of a thread by `(created_at, id)`, newest first unless told otherwise, page by page.

        Raises:
            NotFound: there is no such thread.
            InvalidRequest: `after` or `before` names no run of the thread.
        """

    @operation("GET /v1/threads/{thread_id}/runs/{run_id}", headers=POLL)
    @abstractmethod
    async def retrieve(self, thread_id: str, run_id: str) -> Run:
        """Return one run.

        Raises:
            NotFound: there is no such thread, or no such run in it.
            InvalidRequest: an id cannot be one, or the stored run is damaged; the message says where.
        """

    @operation("POST /v1/threads/{thread_id}/runs/{run_id}")
    @abstractmethod
    async def update(self, thread_id: str, run_id: str, body: RunUpdate) -> Run:
        """Replace the metadata, also of a run that has ended.

        Raises:
            NotFound, InvalidRequest: as `retrieve`.
        """

    @operation("POST /v1/threads/{thread_id}/runs/{run_id}/cancel", headers=POLL)
    @abstractmethod
    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Stop a run: it is `cancelling`, soon `cancelled`; what was said so far becomes an `incomplete` message.

        Returns:
            The run as it is when the wish is stored. Asked again while it is `cancelling`, the same.

        Raises:
            NotFound: as `retrieve`.
            InvalidRequest: it has ended already (`run_ended`).
        """

    @operation("POST /v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs", headers=POLL)
    @abstractmethod
    async def submit_tool_outputs(self, thread_id: str, run_id: str, body: ToolOutputsRequest) -> Run:
        """Give the outputs of all tools that a run in `requires_action` waits for, and have it go on.

        Outputs that the run was given before change nothing, so that a request whose reply was lost can be repeated.

        Returns:
            The run as it is when they are stored, `queued`; where it was given them before, as it is now.

        Raises:
            NotFound: as `retrieve`.
            InvalidRequest: it waits for nothing; or a call is missing, unknown or named twice: the run goes on waiting.
        """

    @operation("POST /v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs", stream=True)
    @abstractmethod
    def submit_tool_outputs_stream(
        self, thread_id: str, run_id: str, body: ToolOutputsRequest
    ) -> AsyncIterator[RunEvent]:
        """Give the outputs of tools, and return what happens then: first what ends the step that asked for them.

        Where the run was given them before, the same is told once it waits or has ended.
        """

    @operation("GET /v1/threads/{thread_id}/runs/{run_id}/steps")
    @abstractmethod
    async def list_steps(self, thread_id: str, run_id: str, query: RunStepsQuery) -> RunStepPage:
        """List the steps of a run in the order in which they began, newest first unless told otherwise, page by page.

        Raises:
            NotFound: there is no such thread, or no such run in it.
            InvalidRequest: `after` or `before` names no step of the run.
        """

    @operation("GET /v1/threads/{thread_id}/runs/{run_id}/steps/{step_id}")
    @abstractmethod
    async def retrieve_step(self, thread_id: str, run_id: str, step_id: str, query: RunStepQuery) -> RunStep:
        """Return one step.

        Raises:
            NotFound: there is no such thread, run or step.
        """

    @internal
    @abstractmethod
    async def unfinished(self, thread_id: str) -> Unfinished | None:
        """The run of a thread that has not ended, and the message that it is saying, if any; None where all have.

        Asked before every message that is stored or read, so it must be cheap. It does not ask whether the thread
        exists.
        """

    @internal
    @abstractmethod
    async def kept(self, thread_id: str, run_id: str) -> KeptRun:
        """A run with its steps and all that is kept of it, as `put` takes it. For copying.

        Raises:
            NotFound, InvalidRequest: as `retrieve`; it does not ask whether the thread exists.
        """

    @internal
    @abstractmethod
    async def put(self, kept: KeptRun) -> None:
        """Store a run that has ended with the id, times and steps it has, in place of one of the same id.

        For copying and importing. It does not ask whether the thread exists.

        Raises:
            InvalidRequest: it has not ended, or an id cannot be one.
        """

    @internal(optional=True)
    async def export(self, thread_id: str, ids: Sequence[str]) -> Sequence[bytes]:
        """Return some runs, those that are there, as lines with all that is stored, in the order asked for.

        For copying: what `jan_core.lines.line_of` makes of a run, so with the fields that the API does not know.
        Two stores that have the same return the same bytes. Missing and damaged ones are left out. A line has the
        run's own fields, its `steps`, and what whoever carries it on keeps (`StoredRun`). It does not ask whether the
        thread exists.

        Raises:
            NotSupported: this store has no such lines.
        """
        raise NotSupported("The chosen runs module cannot export runs.")

    @internal(optional=True)
    async def restore(self, thread_id: str, lines: Sequence[bytes]) -> None:
        """Store runs that were exported with all that the lines have, each in place of one of the same id.

        Raises:
            InvalidRequest: a line is no run of this thread that has ended, an id is there twice or cannot be one;
                nothing was stored.
            NotSupported: this store cannot do it.
        """
        raise NotSupported("The chosen runs module cannot restore runs.")

    @internal
    @abstractmethod
    async def clear(self, thread_id: str) -> None:
        """Stop and remove all runs of a thread that was deleted. Nothing where there are none."""
