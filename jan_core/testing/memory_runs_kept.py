"""A run of the reference implementation of `runs`, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from jan_core.errors import InvalidRequest, JanError, NotFound
from jan_core.ids import new_id, now
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import (
    FunctionStepCall,
    MessageCreationDetails,
    Run,
    RunError,
    RunEvent,
    RunStep,
    RunUsage,
    StepError,
    ToolCallsDetails,
)
from jan_core.schemas.threads import Thread

_WHEN = {
    "cancelled": "cancelled_at",
    "failed": "failed_at",
    "completed": "completed_at",
    "incomplete": "completed_at",
    "expired": "expired_at",
}
_STEP_ENDS = {"incomplete": "completed"}
_STOPS = frozenset(f"thread.run.{one}" for one in (*_WHEN, "requires_action"))


@dataclass(eq=False)
class Kept:
    """A run and all that is known of it.

    Attributes:
        run: the run.
        steps: its steps.
        request: what was put with it.
        whole: all that it was restored from.
        parameters: the settings that hold for its answers.
        rounds: what the model said and was told within this run, as chat messages.
        message: what it is saying.
        usage: what all completions took.
        last: what the last completion took.
        events: all that happened.
        given: the outputs of tools that it was given, and which event was the first after them.
        made: the thread, where it was made for the run.
        task: what carries it on.
        gone: why nothing is told of it any more, where its thread was deleted.
    """

    run: Run
    steps: list[RunStep] = field(default_factory=list)
    request: dict[str, Any] = field(default_factory=dict)
    whole: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    rounds: list[dict[str, Any]] = field(default_factory=list)
    message: Message | None = None
    usage: RunUsage = field(default_factory=RunUsage)
    last: RunUsage = field(default_factory=RunUsage)
    events: list[RunEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    given: dict[tuple[tuple[str, str], ...], int] = field(default_factory=dict)
    made: Thread | None = None
    task: asyncio.Task[None] | None = None
    gone: JanError | None = None

    def tell(self, name: Any, data: Any) -> None:
        """Something has happened."""
        if self.gone is not None:
            return
        self.events.append(RunEvent(event=name, data=data.model_copy(deep=True)))
        news, self.news = self.news, asyncio.Event()
        news.set()

    async def follow(self, start: int) -> AsyncIterator[RunEvent]:
        """What happened since, and what happens, until the run waits or ends."""
        while True:
            news = self.news
            for event in self.events[start:]:
                start += 1
                yield event.model_copy(deep=True)
                if event.event in _STOPS:
                    return
            if self.gone is not None:
                raise self.gone
            await news.wait()

    def forget(self) -> None:
        """Its thread was deleted: who listens is told so, and nothing else."""
        thread = self.run.thread_id
        self.message = None
        self.gone = NotFound(f"The thread {thread!r} was deleted.", param="thread_id", code="thread_not_found")
        self.news.set()

    def become(self, status: Any, **changes: Any) -> None:
        """The run has another status."""
        if status in _WHEN:
            changes |= {"usage": self.usage}
            if status != "expired":
                changes |= {_WHEN[status]: now(), "expires_at": None}
        if status == "in_progress" and self.run.started_at is None:
            changes["started_at"] = now()
        self.run = self.run.model_copy(update={"required_action": None, **changes, "status": status})
        self.tell(f"thread.run.{status}", self.run)

    def begin_step(self, details: MessageCreationDetails | ToolCallsDetails) -> None:
        """A step begins."""
        run = self.run
        step = RunStep(
            id=new_id("step_"),
            created_at=now(),
            assistant_id=run.assistant_id,
            thread_id=run.thread_id,
            run_id=run.id,
            type=details.type,
            step_details=details,
        )
        self.steps.append(step)
        self.tell("thread.run.step.created", step)
        self.tell("thread.run.step.in_progress", step)

    def end_step(self, status: Any, usage: RunUsage, error: RunError | None = None) -> None:
        """The last step ends, where it has not."""
        if not self.steps or self.steps[-1].status != "in_progress":
            return
        status = _STEP_ENDS.get(status, status)
        changes: dict[str, Any] = {"status": status, _WHEN[status]: now(), "usage": usage}
        if error is not None:
            changes["last_error"] = StepError.of(error)
        self.steps[-1] = self.steps[-1].model_copy(update=changes)
        self.tell(f"thread.run.step.{status}", self.steps[-1])

    def answer(self, outputs: list[tuple[str, str]]) -> None:
        """The outputs of the tools that it waits for have come: it is queued again.

        Raises:
            InvalidRequest: it waits for none, or for others.
        """
        if self.run.status != "requires_action":
            raise InvalidRequest(
                f"The run {self.run.id!r} is {self.run.status}; it waits for no outputs.",
                param="run_id",
                code="run_not_waiting",
            )
        details = self.steps[-1].step_details
        assert isinstance(details, ToolCallsDetails)
        calls = [one for one in details.tool_calls if isinstance(one, FunctionStepCall)]
        if sorted(id for id, _ in outputs) != sorted(one.id for one in calls):
            raise InvalidRequest(
                f"tool_outputs: give one output for each of the calls {', '.join(one.id for one in calls)}.",
                param="tool_outputs",
                code="invalid_tool_outputs",
            )
        given = dict(outputs)
        for one in calls:
            one.function.output = given[one.id]
            self.rounds.append({"role": "tool", "tool_call_id": one.id, "content": given[one.id]})
        self.end_step("completed", self.last)
        self.become("queued")
