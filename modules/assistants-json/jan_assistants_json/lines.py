"""Assistants of files as lines for copying, and lines as what is in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from jan_assistants_json.document import MODEL, shown_of
from jan_core.folder.calls import DISK
from jan_core.folder.layout import ASSISTANT_FILE
from jan_core.folder.objects import Damaged, read_object, values_there, write_object
from jan_core.lines import line_of, objects_in
from jan_core.schemas.assistants import Assistant


def exported(assistant_id: str, folder: str) -> bytes | None:
    """The line of an assistant; None where there is none, or a damaged one.

    What is in the `model.json` beside it goes along under that name.

    Args:
        assistant_id: its id.
        folder: where it lies.
    """
    path = os.path.join(folder, ASSISTANT_FILE)
    try:
        values, _, content = read_object(path)
        beside = _beside(folder)
        shown = shown_of(assistant_id, path, values, content, beside)
        return line_of(Assistant, {**values, **shown} | ({MODEL: beside} if beside else {}))
    except (Damaged, FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def restoring(lines: Sequence[bytes]) -> list[tuple[Assistant, Callable[[str], None]]]:
    """Assistants that are to be stored, each with what writes its file and the one beside it.

    Raises:
        InvalidRequest: a line is no assistant, or an id is there twice or cannot be one.
    """
    found: list[tuple[Assistant, Callable[[str], None]]] = []
    for assistant, values in objects_in(Assistant, lines):
        beside = values.pop(MODEL, None)
        found.append((assistant, partial(_write, values, beside if isinstance(beside, dict) else {})))
    return found


def _write(values: dict[str, Any], beside: dict[str, Any], path: str) -> None:
    model = os.path.join(os.path.dirname(path), MODEL)
    there = values_there(model)
    values_there(path)  # nothing is written over what somebody has to mend
    if beside:
        write_object(model, beside)
    elif there is not None:
        DISK.unlink(model)
    write_object(path, values)


def _beside(folder: str) -> dict[str, Any] | None:
    try:
        return values_there(os.path.join(folder, MODEL))
    except Damaged:
        return None
