"""Where a run can go from where it stands, and what is written down when it goes there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jan_core.ids import now
from jan_core.schemas.runs import (
    Run,
    RunError,
    RunIncompleteDetails,
    RunStatus,
    RunStep,
    RunUsage,
    StepError,
    StepStatus,
)

LEGAL: Mapping[RunStatus, frozenset[RunStatus]] = {
    "queued": frozenset({"in_progress", "cancelling", "failed", "expired"}),
    "in_progress": frozenset({"requires_action", "cancelling", "completed", "incomplete", "failed", "expired"}),
    "requires_action": frozenset({"queued", "cancelling", "expired"}),
    "cancelling": frozenset({"cancelled"}),
    "cancelled": frozenset(),
    "failed": frozenset(),
    "completed": frozenset(),
    "incomplete": frozenset(),
    "expired": frozenset(),
}
"""From each status, those that may follow it."""

_MOMENTS: Mapping[RunStatus, str] = {
    "cancelled": "cancelled_at",
    "failed": "failed_at",
    "completed": "completed_at",
    "incomplete": "completed_at",
}
_STEP_MOMENTS: Mapping[StepStatus, str] = {
    "cancelled": "cancelled_at",
    "failed": "failed_at",
    "completed": "completed_at",
    "expired": "expired_at",
}
STEP_ENDS: Mapping[RunStatus, StepStatus] = {
    "cancelled": "cancelled",
    "failed": "failed",
    "expired": "expired",
    "incomplete": "completed",
    "completed": "completed",
}
"""How a step that was going on ends with its run. What a limit cut short is done as far as it went."""


def gone(run: Run, status: RunStatus, **fields: Any) -> Run:
    """The run in another status, with the time stamps that go with it.

    Args:
        run: the run; it is not changed.
        status: where it goes.
        fields: what else changes: `last_error`, `incomplete_details`, `required_action`, `usage`.

    Raises:
        ValueError: it cannot go there from where it stands.
    """
    if status not in LEGAL[run.status]:
        raise ValueError(f"a run that is {run.status} cannot become {status}")
    changes: dict[str, Any] = {"status": status, "required_action": None, **fields}
    moment = now()
    if status == "in_progress" and run.started_at is None:
        changes["started_at"] = moment
    if (name := _MOMENTS.get(status)) is not None:
        changes[name] = moment
        changes["expires_at"] = None
    return run.model_copy(update=changes)


def ending(run: Run, status: RunStatus) -> Run:
    """The run where it can end so, by way of the statuses that lie in between; `run` is not changed.

    They lie in between where it was found so after a crash, or somebody wrote into its file. Nobody is told of them.

    Raises:
        ValueError: it has ended.
    """
    if status not in LEGAL[run.status] and run.status == "requires_action":
        run = gone(run, "queued")
    return run if status in LEGAL[run.status] else gone(run, "in_progress")


def failed(run: Run, error: RunError, usage: RunUsage) -> Run:
    """The run, `failed` with a reason."""
    return gone(run, "failed", last_error=error, usage=usage)


def incomplete(run: Run, reason: Any, usage: RunUsage) -> Run:
    """The run, `incomplete` for the limit that was reached."""
    return gone(run, "incomplete", incomplete_details=RunIncompleteDetails(reason=reason), usage=usage)


def step_ended(step: RunStep, status: StepStatus, *, error: RunError | None = None, **fields: Any) -> RunStep:
    """A step, which was in progress, as it ended; `step` is not changed.

    Args:
        step: the step.
        status: how it ended.
        error: why the run failed, where it did.
        fields: what else changes: `usage`, `step_details`.
    """
    changes: dict[str, Any] = {"status": status, _STEP_MOMENTS[status]: now(), **fields}
    if status == "failed" and error is not None:
        changes["last_error"] = StepError.of(error)
    return step.model_copy(update=changes)


def overdue(run: Run) -> bool:
    """True where a run waits, or would begin a step, and has waited too long."""
    waits = run.status in ("queued", "in_progress", "requires_action")
    return waits and run.expires_at is not None and now() >= run.expires_at
