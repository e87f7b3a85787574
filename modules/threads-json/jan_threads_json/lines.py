"""Threads of files as lines for copying, and lines as what is in files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from jan_core.folder.calls import DISK
from jan_core.folder.objects import Damaged, read_object, values_there, write_object
from jan_core.lines import line_of, objects_in
from jan_core.schemas.threads import Thread
from jan_threads_json.document import IN_MODEL, MODEL, THREAD, model_values, shown_of

_TOLD = IN_MODEL | {"id", "object"}


def exported(thread_id: str, folder: str) -> bytes | None:
    """The line of a thread; None where there is none, or a damaged one.

    What else is in its `model.json` than the thread of the API has goes along under that name.

    Args:
        thread_id: its id.
        folder: where it lies.
    """
    path = os.path.join(folder, THREAD)
    try:
        values, _, content = read_object(path)
        settings = _settings(folder)
        shown = shown_of(thread_id, path, values, content, settings)
        shown["assistants"] = _with_others(shown["assistants"], values.get("assistants"))
        others = {name: value for name, value in values.items() if name not in IN_MODEL}
        beside = {name: value for name, value in (settings or {}).items() if name not in _TOLD}
        return line_of(Thread, {**others, **shown} | ({MODEL: beside} if beside else {}))
    except (Damaged, FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def restoring(lines: Sequence[bytes]) -> list[tuple[Thread, Callable[[str], None]]]:
    """Threads that are to be stored, each with what writes its files into its folder.

    Raises:
        InvalidRequest: a line is no thread, or an id is there twice or cannot be one.
    """
    found: list[tuple[Thread, Callable[[str], None]]] = []
    for thread, values in objects_in(Thread, lines):
        beside = values.pop(MODEL, None)
        settings = model_values(thread, beside if isinstance(beside, dict) else {}, set(IN_MODEL))
        values = {name: value for name, value in values.items() if name not in IN_MODEL}
        found.append((thread, partial(_write, values, settings)))
    return found


def _write(values: dict[str, Any], settings: dict[str, Any], folder: str) -> None:
    model, path = os.path.join(folder, MODEL), os.path.join(folder, THREAD)
    there = values_there(model)
    values_there(path)  # nothing is written over what somebody has to mend
    if settings:
        write_object(model, settings)
    elif there is not None:
        DISK.unlink(model)
    write_object(path, values)


def _settings(folder: str) -> dict[str, Any] | None:
    try:
        return values_there(os.path.join(folder, MODEL))
    except Damaged:
        return None


def _with_others(shown: Any, raw: Any) -> Any:
    """Who takes part, each with what else the file says of them."""
    if not isinstance(shown, list) or not isinstance(raw, list) or len(shown) != len(raw):
        return shown
    return [
        {name: value for name, value in one.items() if name != "model"} | told if isinstance(one, dict) else told
        for one, told in zip(raw, shown, strict=True)
    ]
