from __future__ import annotations

import json

from jan_runs.notes import NotedCall, Notes, Round

from jan_core.schemas.messages import Message
from jan_core.schemas.runs import KeptRun, Run, RunUsage

RUN = Run(id="run_1", created_at=1, thread_id="t", assistant_id="jan", model="m")


class TestNotes:
    def test_what_is_noted_is_read_back_as_it_was_from_json(self) -> None:
        notes = Notes(
            parameters={"stop": ["x"]},
            key_name="home",
            rounds=[Round(text="so", message="msg_1", calls=[NotedCall(id="c", name="add", arguments="{}")])],
            used=RunUsage(total_tokens=3),
            saying=Message(id="msg_2", created_at=1, thread_id="t", status="in_progress", role="assistant", content=[]),
            heard=True,
        )
        kept = KeptRun(run=RUN)
        notes.to(kept)
        kept.request = json.loads(json.dumps(kept.request))
        assert Notes.of(kept) == notes

    def test_nothing_noted_is_nothing_stored(self) -> None:
        kept = KeptRun(run=RUN)
        Notes().to(kept)
        assert kept.request == {}
        assert Notes.of(kept) == Notes()
