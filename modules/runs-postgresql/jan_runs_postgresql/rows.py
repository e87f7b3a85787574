"""A kept run as a row of `jan.runs`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jan_postgresql.texts import as_json
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from jan_core.errors import InvalidRequest
from jan_core.folder.fields import updated
from jan_core.lines import line_of, runs_in
from jan_core.schemas.runs import KeptRun, Run, RunStep, StoredRun

COLUMNS = "run::text, steps::text, request::text"
"""What is read of a kept run. The JSON comes as text, and is parsed once."""

Texts = tuple[str, str, str]
"""The run, its steps, and what is needed to carry it on, as JSON."""

_STEPS: TypeAdapter[list[RunStep]] = TypeAdapter(list[RunStep])
_REQUEST: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def texts_of(kept: KeptRun, before: Texts | None = None) -> Texts:
    """A kept run as the three texts of its row.

    Args:
        kept: the run.
        before: what the row has, where the run had ended by then: what the API does not know of it stays, and so do its
            steps, which nobody changes any more.
    """
    if before is not None:
        told, raw = kept.run.model_dump(mode="json"), from_json(before[0])
        old = Run.model_validate(raw, extra="ignore").model_dump(mode="json")
        names = {name for name in Run.model_fields if told.get(name) != old.get(name)}
        return as_json(updated(raw, kept.run, names)), before[1], before[2]
    steps = [step.model_dump(mode="json") for step in kept.steps]
    return as_json(kept.run.model_dump(mode="json")), as_json(steps), as_json(kept.request)


def kept_of(texts: Sequence[Any]) -> KeptRun:
    """The kept run of a row that was read as `COLUMNS`.

    Raises:
        InvalidRequest: somebody wrote into the row; code `damaged_row`.
    """
    run, steps, request = texts
    try:
        return KeptRun.model_construct(
            # What was copied from elsewhere may have fields that the API does not know.
            run=Run.model_validate_json(run, extra="ignore"),
            steps=_STEPS.validate_json(steps, extra="ignore"),
            request=_REQUEST.validate_json(request),
        )
    except ValidationError as error:
        raise _damaged(error) from error


def line(texts: Sequence[Any]) -> bytes | None:
    """The line of a row that was read as `COLUMNS`, for copying; None where somebody wrote into it."""
    run, steps, request = map(from_json, texts)
    try:
        return line_of(StoredRun, {**run, "steps": steps, "request": request})
    except ValidationError:
        return None


def restoring(thread_id: str, lines: Sequence[bytes]) -> list[tuple[KeptRun, Texts]]:
    """Runs that are to be stored, each with the texts of its row.

    Raises:
        InvalidRequest: a line is no run of this thread that has ended, or an id is there twice or cannot be one.
    """
    found = []
    for stored, values in runs_in(thread_id, lines):
        steps, request = values.pop("steps", []), values.pop("request", {})
        found.append((stored.kept(), (as_json(values), as_json(steps), as_json(request))))
    return found


def run_of(text: str) -> Run | None:
    """The run of a row; None where it is damaged."""
    try:
        return Run.model_validate_json(text, extra="ignore")
    except ValidationError:
        return None


def _damaged(error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "it"
    return InvalidRequest(
        f"The row of this run in jan.runs is damaged: {where}: {first['msg']}. Mend it with psql, or delete it.",
        param="run_id",
        code="damaged_row",
    )
