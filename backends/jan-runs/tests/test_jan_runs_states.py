from __future__ import annotations

import pytest
from jan_runs import states

from jan_core.ids import now
from jan_core.schemas.runs import MessageCreation, MessageCreationDetails, Run, RunError, RunStep, RunUsage
from jan_core.schemas.runs.run import ENDED

TIMES = ("started_at", "cancelled_at", "failed_at", "completed_at")


def run(**more: object) -> Run:
    given = {"id": "run_1", "created_at": 1, "thread_id": "t", "assistant_id": "jan", "model": "m", **more}
    return Run.model_validate(given)


def step() -> RunStep:
    details = MessageCreationDetails(message_creation=MessageCreation(message_id="msg_1"))
    return RunStep(
        id="step_1",
        created_at=1,
        assistant_id="jan",
        thread_id="t",
        run_id="run_1",
        type="message_creation",
        step_details=details,
    )


class TestTable:
    def test_it_has_every_status_and_what_has_ended_goes_nowhere(self) -> None:
        assert set(states.LEGAL) >= ENDED
        assert {status for status, next in states.LEGAL.items() if not next} == ENDED
        assert set().union(*states.LEGAL.values()) | {"queued"} == set(states.LEGAL)

    @pytest.mark.parametrize("before", states.LEGAL)
    def test_a_run_goes_where_the_table_says_and_nowhere_else(self, before: str) -> None:
        for after in states.LEGAL:
            if after in states.LEGAL[before]:  # type: ignore[index]
                assert states.gone(run(status=before), after).status == after
            else:
                with pytest.raises(ValueError, match=f"is {before} cannot become {after}"):
                    states.gone(run(status=before), after)


class TestGone:
    @pytest.mark.parametrize(
        ("after", "field"),
        [
            ("cancelled", "cancelled_at"),
            ("failed", "failed_at"),
            ("completed", "completed_at"),
            ("incomplete", "completed_at"),
        ],
    )
    def test_an_end_has_its_time_and_nothing_expires_any_more(self, after: str, field: str) -> None:
        before = run(status="cancelling" if after == "cancelled" else "in_progress", expires_at=5)
        found = states.gone(before, after)  # type: ignore[arg-type]
        assert [name for name in TIMES if getattr(found, name) is not None] == [field]
        assert found.expires_at is None
        assert before.status != after, "the run that was given is not changed"

    def test_one_that_expired_says_when_it_was_to(self) -> None:
        found = states.gone(run(status="requires_action", expires_at=5), "expired")
        assert found.expires_at == 5

    def test_it_started_when_it_first_went_on(self) -> None:
        first = states.gone(run(), "in_progress")
        assert first.started_at is not None
        again = states.gone(run(started_at=7), "in_progress")
        assert again.started_at == 7

    def test_what_it_waited_for_goes(self) -> None:
        waiting = run(
            status="requires_action",
            required_action={"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": []}},
        )
        assert states.gone(waiting, "queued").required_action is None

    def test_reasons_stand_in_the_run(self) -> None:
        error = RunError(code="server_error", message="why")
        assert states.failed(run(), error, RunUsage()).last_error == error
        found = states.incomplete(run(status="in_progress"), "max_prompt_tokens", RunUsage(total_tokens=3))
        assert found.incomplete_details is not None
        assert found.incomplete_details.reason == "max_prompt_tokens"
        assert found.usage is not None
        assert found.usage.total_tokens == 3


class TestStep:
    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
    def test_an_end_has_its_time(self, status: str) -> None:
        found = states.step_ended(step(), status)  # type: ignore[arg-type]
        times = ("completed_at", "failed_at", "cancelled_at", "expired_at")
        assert [name for name in times if getattr(found, name) is not None] == [f"{status}_at"]
        assert found.last_error is None

    def test_only_a_failed_one_has_the_error_of_the_run(self) -> None:
        error = RunError(code="invalid_prompt", message="why")
        failed = states.step_ended(step(), "failed", error=error)
        assert failed.last_error is not None
        assert (failed.last_error.code, failed.last_error.message) == ("server_error", "why")


class TestOverdue:
    @pytest.mark.parametrize("status", states.LEGAL)
    def test_what_waits_is_overdue_after_its_time(self, status: str) -> None:
        waits = status in ("queued", "in_progress", "requires_action")
        assert states.overdue(run(status=status, expires_at=now() - 1)) is waits
        assert not states.overdue(run(status=status, expires_at=now() + 60))
        assert not states.overdue(run(status=status))


class TestEnding:
    @pytest.mark.parametrize("before", [status for status, after in states.LEGAL.items() if after])
    def test_every_run_can_end_as_failed_but_one_that_is_cancelled(self, before: str) -> None:
        if before == "cancelling":
            with pytest.raises(ValueError, match="cannot become"):
                states.ending(run(status=before), "failed")
        else:
            found = states.ending(run(status=before), "failed")
            assert "failed" in states.LEGAL[found.status]

    def test_one_that_can_end_so_stays_where_it_is(self) -> None:
        one = run(status="requires_action")
        assert states.ending(one, "expired") is one

    def test_one_that_has_ended_has_no_other_end(self) -> None:
        with pytest.raises(ValueError, match="is completed"):
            states.ending(run(status="completed"), "failed")
