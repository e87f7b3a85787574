"""A run as its file has it, and back.

The file holds the fields of the run, `steps`, and `request`: what the loop needs to go on. Whatever else a person or
another program wrote into it, at the top or in a step, stays there.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, TypeVar

from pydantic import BaseModel

from jan_core.folder.fields import checked, time_made, updated
from jan_core.folder.objects import Damaged, line_of
from jan_core.schemas.runs import KeptRun, Run, RunStep

STEPS = "steps"
"""The field of the steps, in the order in which they began."""
REQUEST = "request"
"""The field of what the loop needs to go on."""


T = TypeVar("T")

_PLAIN = frozenset((str, int, float, bool, type(None)))
_set = object.__setattr__


def copy_of(value: T) -> T:
    """A copy of an object and of all that is in it, as `model_copy(deep=True)` gives, in a tenth of the time.

    Args:
        value: the object, or what may be in one. Nothing in it may hold itself.
    """
    copied: T = _copied(value)
    return copied


def _copied(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {name: one if type(one) in _PLAIN else _copied(one) for name, one in value.items()}
    if kind is list:
        return [one if type(one) in _PLAIN else _copied(one) for one in value]
    if isinstance(value, BaseModel):
        model = object.__new__(type(value))
        # All that a model consists of, as its own `__deepcopy__` has it.
        _set(model, "__dict__", _copied(value.__dict__))
        _set(model, "__pydantic_extra__", _copied(value.__pydantic_extra__))
        _set(model, "__pydantic_fields_set__", set(value.__pydantic_fields_set__))
        _set(model, "__pydantic_private__", deepcopy(value.__pydantic_private__))
        return model
    return deepcopy(value)


def kept_of(thread_id: str, run_id: str, path: str, values: dict[str, Any], content: bytes) -> KeptRun:
    """The run that a file holds. It is the one of its name, in the thread in whose folder it lies.

    Args:
        thread_id: of the thread.
        run_id: of the run.
        path: of the file.
        values: what is in it.
        content: its bytes.

    Raises:
        Damaged: a required field is missing, or one has a wrong type.
    """
    shown = {name: values[name] for name in Run.model_fields if name in values}
    shown |= {"id": run_id, "object": "thread.run", "thread_id": thread_id}
    shown["created_at"] = time_made(path, values, content)
    run = checked(Run, shown, path, content)
    found = values.get(STEPS)
    if not isinstance(found, list | None):
        raise Damaged(path, line_of(content, STEPS), f"`{STEPS}` must be a list")
    steps = []
    for number, step in enumerate(found or ()):
        if not isinstance(step, dict):
            raise Damaged(path, line_of(content, STEPS), f"`{STEPS}.{number}` must be an object")
        of_run = {"thread_id": thread_id, "run_id": run_id, "assistant_id": run.assistant_id}
        try:
            steps.append(checked(RunStep, {**of_run, **step, "thread_id": thread_id, "run_id": run_id}, path, b""))
        except Damaged as error:
            line = _line_of_step(content, step)
            raise Damaged(path, line, error.what.replace("`", f"`{STEPS}.{number}.", 1)) from None
    request = values.get(REQUEST)
    if not isinstance(request, dict | None):
        raise Damaged(path, line_of(content, REQUEST), f"`{REQUEST}` must be an object")
    return KeptRun(run=run, steps=steps, request=request or {})


def values_of(kept: KeptRun, before: dict[str, Any]) -> dict[str, Any]:
    """The values for a run's file: those that were there, with the run, its steps and its request as they are now.

    Args:
        kept: the run.
        before: what was in the file.
    """
    old = {STEPS: None, REQUEST: None, **before}
    values = updated(old, kept.run, set(Run.model_fields))
    values = {name: values[name] for name in Run.model_fields if name in values} | values
    known = before.get(STEPS)
    steps = {one.get("id"): one for one in (known if isinstance(known, list) else ()) if isinstance(one, dict)}
    names = set(RunStep.model_fields)
    values[STEPS] = [updated(steps.get(step.id, {}), step, names) for step in kept.steps]
    values[REQUEST] = kept.request
    if not kept.request:
        del values[REQUEST]
    return values


def _line_of_step(content: bytes, step: dict[str, Any]) -> int:
    """The line on which a step begins, as far as a search for its id finds it."""
    id = step.get("id")
    place = content.find(f'"{id}"'.encode()) if isinstance(id, str) else -1
    return content.count(b"\n", 0, place) + 1 if place >= 0 else line_of(content, STEPS)
