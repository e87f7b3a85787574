"""A kept run as a row of `jan.runs`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jan_postgresql.texts import as_json
from pydantic import TypeAdapter, ValidationError

from jan_core.errors import InvalidRequest
from jan_core.schemas.runs import KeptRun, Run, RunStep

COLUMNS = "run::text, steps::text, request::text"
"""What is read of a kept run. The JSON comes as text, and is parsed once."""

Texts = tuple[str, str, str]
"""The run, its steps, and what is needed to carry it on, as JSON."""

_STEPS: TypeAdapter[list[RunStep]] = TypeAdapter(list[RunStep])
_REQUEST: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def texts_of(kept: KeptRun) -> Texts:
    """A kept run as the three texts of its row."""
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
            run=Run.model_validate_json(run),
            steps=_STEPS.validate_json(steps),
            request=_REQUEST.validate_json(request),
        )
    except ValidationError as error:
        raise _damaged(error) from error


def run_of(text: str) -> Run | None:
    """The run of a row; None where it is damaged."""
    try:
        return Run.model_validate_json(text)
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
