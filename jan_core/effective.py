"""Which settings hold for an answer, field by field, and where each of them comes from.

The first place that sets a field counts: request > run > thread > assistant > model > the engine's default. This is
the one place that computes it; who runs an assistant and who shows a thread's settings ask here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jan_core.backend import Engine
from jan_core.errors import InvalidRequest, NotFound
from jan_core.schemas.settings import SettingsLayer

if TYPE_CHECKING:
    from jan_core.app import Jan
    from jan_core.schemas.threads import ThreadAssistant


@dataclass(frozen=True, slots=True)
class Setting:
    """A value, and where it stands, for a person: `threads/jan-1700000000-…/model.json`."""

    value: Any
    origin: str


def merged(layers: Iterable[SettingsLayer]) -> dict[str, Setting]:
    """The settings that hold, by field.

    Args:
        layers: the places, the strongest first. A value of None sets nothing.
    """
    found: dict[str, Setting] = {}
    for layer in layers:
        for name, value in layer.values.items():
            if value is not None and name not in found:
                found[name] = Setting(value, layer.origin)
    return found


async def settings_of(
    jan: Jan,
    *,
    thread_id: str | None = None,
    assistant_id: str | None = None,
    stronger: Iterable[SettingsLayer] = (),
) -> dict[str, Setting]:
    """The settings that hold for the answers in a thread, or of an assistant.

    Args:
        jan: the running app. Of the endpoints, those that are not served set nothing.
        thread_id: the thread; None where there is none.
        assistant_id: who answers; default the first assistant of the thread, else `jan`.
        stronger: what goes before the thread: the layers of a request and of a run, in this order.

    Returns:
        Field name to value and origin: `model`, `instructions`, `tools`, `response_format`, `reasoning_effort`,
        `temperature` and further parameters. A field that nothing sets is missing. Where nothing sets `model`, it is
        the first installed one; where the model is not installed, nothing below it sets anything.

    Raises:
        NotFound: there is no such thread, or no such assistant where one was named.
        InvalidRequest: an id cannot be one, or what is stored under it is damaged.
    """
    layers = list(stronger)
    taking_part: Sequence[ThreadAssistant] = ()
    if thread_id is not None:
        layers += await jan.threads.layers(thread_id)
        taking_part = (await jan.threads.retrieve(thread_id)).assistants or []
        assistant = assistant_id or (taking_part[0].assistant_id if taking_part else "jan")
        for index, one in enumerate(taking_part):
            if one.assistant_id == assistant and one.model is not None:
                origin = f"assistants[{index}] of the thread {thread_id}"
                layers.append(SettingsLayer(origin=origin, values={"model": one.model}))
    else:
        assistant = assistant_id or "jan"
    if "assistants" in jan.endpoints:
        try:
            layers += await jan.assistants.layers(assistant)
        except NotFound:
            if assistant_id is not None:  # a thread outlives the assistants that took part in it
                raise
        except InvalidRequest as error:
            # A thread may name what cannot be an id. And the assistant that answers where none is named costs only
            # itself where it is damaged, not every thread that names none.
            passed_over = {"invalid_id"} if taking_part else {"damaged_file"}
            if assistant_id is not None or error.code not in passed_over:
                raise
    if "models" in jan.endpoints:
        layers += await _below(jan, merged(layers).get("model"))
    return merged(layers)


async def _below(jan: Jan, chosen: Setting | None) -> list[SettingsLayer]:
    """What the model and its engine set; also the model itself where nothing chose one."""
    if chosen is None:
        listed = (await jan.models.list()).data
        if not listed:
            return []
        first = SettingsLayer(origin="the first installed model", values={"model": listed[0].id})
        return [first, *await _below(jan, Setting(listed[0].id, first.origin))]
    if not isinstance(chosen.value, str):
        return []
    try:
        location = await jan.models.locate(chosen.value)
    except (NotFound, InvalidRequest):
        return []
    layers = [SettingsLayer(origin=f"model.json of {location.id}", values=location.parameters)]
    for backend in jan.backends.values():
        if isinstance(backend, Engine) and location.engine in (None, backend.engine):
            defaults: Mapping[str, Any] = backend.defaults(location)
            layers.append(SettingsLayer(origin=f"default of {backend.engine}", values=dict(defaults)))
            break
    return layers
