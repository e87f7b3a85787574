"""Runs of files as lines for copying, and lines as what is in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from jan_core.folder.fields import time_made
from jan_core.folder.objects import Damaged, read_object
from jan_core.lines import line_of, runs_in
from jan_core.schemas.runs import KeptRun, StoredRun
from jan_runs_json.document import REQUEST, STEPS, kept_of


def exported(thread_id: str, run_id: str, path: str) -> bytes | None:
    """The line of a run; None where there is none, or a damaged one.

    Args:
        thread_id: of the thread.
        run_id: of the run.
        path: of its file.
    """
    try:
        values, _, content = read_object(path)
        run = kept_of(thread_id, run_id, path, values, content).run
        ids = {"thread_id": thread_id, "run_id": run_id}
        steps = [{"assistant_id": run.assistant_id, **step, **ids} for step in values.get(STEPS) or ()]
        made = {"created_at": time_made(path, values, content), "id": run_id, "object": run.object}
        told = {**made, "thread_id": thread_id, STEPS: steps, REQUEST: values.get(REQUEST) or {}}
        return line_of(StoredRun, {**values, **told})
    except (Damaged, FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def restoring(thread_id: str, lines: Sequence[bytes]) -> list[tuple[KeptRun, dict[str, Any]]]:
    """Runs that are to be stored, each with the values of its file.

    Raises:
        InvalidRequest: a line is no run of this thread that has ended, or an id is there twice or cannot be one.
    """
    found = []
    for stored, values in runs_in(thread_id, lines):
        if not stored.request:
            values.pop(REQUEST, None)
        found.append((stored.kept(), values))
    return found
