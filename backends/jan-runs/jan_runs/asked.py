"""From a request to a run that can be kept: what answers, and with which settings, is fixed here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jan_core import call
from jan_core.effective import settings_of
from jan_core.errors import JanError
from jan_core.ids import new_id, new_timed_id, timed_id_time
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import KeptRun, Run, RunRequest
from jan_core.schemas.runs.requests import FunctionToolChoice
from jan_core.schemas.settings import SettingsLayer
from jan_runs import foreseen
from jan_runs.notes import Notes

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.threads import ThreadRequest
    from jan_runs.tools import Toolbox

PARAMETERS = (
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "seed",
    "verbosity",
    "top_k",
    "min_p",
    "typical_p",
    "repeat_penalty",
)
"""Fields of a chat request that a thread, an assistant or a model may set, and that a run has no field for."""


async def new_run(jan: Jan, thread_id: str, body: RunRequest, *, expires_seconds: int, toolbox: Toolbox) -> KeptRun:
    """The run that a request asks for, `queued`, with a new id. Nothing is stored.

    Args:
        jan: the running app.
        thread_id: the thread that it is for.
        body: the request; its `additional_messages` are noted with the run, see `jan_runs.additional`.
        expires_seconds: how long it may wait.
        toolbox: has the assistant's own tools, which `tool_choice` may ask for.

    Raises:
        NotFound: there is no such thread, or no such assistant.
        InvalidRequest: a value cannot be used; see `Run.of` and `jan_runs.foreseen`.
    """
    settings = await settings_of(jan, thread_id=thread_id, assistant_id=body.assistant_id, stronger=[body.layer()])
    values = {name: setting.value for name, setting in settings.items()}
    id = new_timed_id("run_")
    moment = timed_id_time(id, "run_") or 0
    run = Run.of(
        body,
        id=id,
        thread_id=thread_id,
        created_at=moment,
        expires_at=moment + expires_seconds,
        settings=values,
        own=await _own(toolbox, body),
    )
    parameters = _parameters(values)
    context = call.current()
    additional = _additional(body, thread_id, moment)
    await foreseen.refuse(jan, run, toolbox, parameters=parameters, additional=additional)
    notes = Notes(parameters=parameters, additional=additional)
    if context is not None:
        notes.key_name, notes.request_id, notes.depth = context.key_name, context.request_id, context.depth
    kept = KeptRun(run=run)
    notes.to(kept)
    return kept


async def try_settings(jan: Jan, body: RunRequest, thread: ThreadRequest, toolbox: Toolbox) -> None:
    """Return where a run could begin in a thread that is to be made. Nothing is stored.

    Args:
        jan: the running app.
        body: the run that is asked for.
        thread: the thread that is asked for.
        toolbox: as in `new_run`.

    Raises:
        NotFound: there is no such assistant.
        InvalidRequest: a value cannot be used; see `Run.of` and `jan_runs.foreseen`.
    """
    parameters = {} if thread.parameters is None else thread.parameters.model_dump(mode="json", exclude_unset=True)
    models = [one.model for one in thread.assistants or () if one.assistant_id == body.assistant_id]
    layers = [
        body.layer(),
        SettingsLayer(origin="the thread", values={**parameters, "model": thread.model}),
        *(SettingsLayer(origin="the thread", values={"model": model}) for model in models),
    ]
    settings = await settings_of(jan, assistant_id=body.assistant_id, stronger=layers)
    values = {name: setting.value for name, setting in settings.items()}
    own = await _own(toolbox, body)
    run = Run.of(body, id="", thread_id="", created_at=0, expires_at=None, settings=values, own=own)
    additional = _additional(body, "", 0)
    await foreseen.refuse(jan, run, toolbox, parameters=_parameters(values), additional=additional)


def _parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings that hold, those that a run has no field for."""
    found = {name: values[name] for name in PARAMETERS if name in values}
    if "max_completion_tokens" in found:
        found.pop("max_tokens", None)  # the older name of the same; a request has only one of them
    return found


def _additional(body: RunRequest, thread_id: str, moment: int) -> list[Message]:
    return [
        Message.of(one, id=new_id("msg_"), thread_id=thread_id, created_at=moment)
        for one in body.additional_messages or ()
    ]


async def _own(toolbox: Toolbox, body: RunRequest) -> frozenset[str]:
    """The names of the assistant's own tools, where the request asks for a tool by `tool_choice`."""
    if body.tool_choice in (None, "none", "auto"):
        return frozenset()
    try:
        return frozenset(tool.function.name for tool in await toolbox.tools(body.assistant_id))
    except JanError:
        # The run is to say why; what it is asked for may be among them.
        return frozenset(
            {"", body.tool_choice.function.name if isinstance(body.tool_choice, FunctionToolChoice) else ""}
        )
