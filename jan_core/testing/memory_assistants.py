"""The reference implementation of `assistants`, in memory: the plainest code that keeps the endpoint's promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

from jan_core.endpoints.assistants import Assistants
from jan_core.errors import InvalidRequest, NotFound
from jan_core.folder.fields import updated
from jan_core.folder.names import check_name
from jan_core.hookspecs import hookimpl
from jan_core.idempotency import once
from jan_core.ids import new_id, now
from jan_core.lines import line_of, objects_in
from jan_core.pages import cut
from jan_core.schemas.assistants import (
    Assistant,
    AssistantDeleted,
    AssistantPage,
    AssistantRequest,
    AssistantUpdate,
)
from jan_core.schemas.pages import PageQuery
from jan_core.schemas.settings import SettingsLayer

if TYPE_CHECKING:
    from jan_core.app import Jan

SETTINGS = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")
"""The fields of an assistant that say how a model answers."""


@dataclass(eq=False)
class Storage:
    """The assistants, what was answered under which key to which body, and all that restored ones have."""

    assistants: dict[str, Assistant]
    answered: dict[str, tuple[str, Assistant]] = field(default_factory=dict)
    whole: dict[str, dict[str, Any]] = field(default_factory=dict)


_STORAGES: WeakValueDictionary[Path, Storage] = WeakValueDictionary()


class AssistantsInMemory(Assistants):
    """Assistants in a dictionary. Apps on one root share it, as long as one of these lives.

    Args:
        jan: gives the models, of which the first one answers where an assistant names none.
    """

    in_memory: ClassVar[bool] = True

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        first = {"jan": Assistant(id="jan", created_at=now(), name="Jan", model="")}
        self._storage = _STORAGES.setdefault(jan.root, Storage(first))
        self._assistants, self._answered = self._storage.assistants, self._storage.answered
        self._whole = self._storage.whole

    async def create(self, body: AssistantRequest) -> Assistant:
        """See `Assistants`."""
        asked = once("assistants.create", body)
        if asked is not None and asked.key in self._answered:
            fingerprint, reply = self._answered[asked.key]
            asked.check(fingerprint)
            return reply.model_copy(deep=True)
        assistant = Assistant.of(body, id=new_id("asst_"), created_at=now())
        self._assistants[assistant.id] = assistant.model_copy(deep=True)
        if asked is not None:
            self._answered[asked.key] = (asked.fingerprint, assistant.model_copy(deep=True))
        return assistant

    async def list(self, query: PageQuery) -> AssistantPage:
        """See `Assistants`."""
        found = cut(sorted(self._assistants.values(), key=lambda one: (one.created_at, one.id)), query)
        found.data = [await self._shown(one) for one in found.data]
        return AssistantPage(**dict(found))

    async def retrieve(self, assistant_id: str) -> Assistant:
        """See `Assistants`."""
        return await self._shown(self._find(assistant_id))

    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        """See `Assistants`."""
        changed = self._find(assistant_id).changed(body).model_copy(deep=True)
        self._assistants[assistant_id] = changed
        if assistant_id in self._whole:
            self._whole[assistant_id] = updated(self._whole[assistant_id], changed, body.model_fields_set)
        return await self._shown(changed)

    async def delete(self, assistant_id: str) -> AssistantDeleted:
        """See `Assistants`."""
        self._find(assistant_id)
        if assistant_id == "jan":
            raise InvalidRequest(
                "The assistant 'jan' is always there and cannot be deleted; it can be modified.",
                param="assistant_id",
                code="protected_assistant",
            )
        del self._assistants[assistant_id]
        self._whole.pop(assistant_id, None)
        return AssistantDeleted(id=assistant_id, deleted=True)

    async def put(self, assistant: Assistant) -> None:
        """See `Assistants`."""
        check_name(assistant.id, param="assistant_id")
        self._assistants[assistant.id] = assistant.model_copy(deep=True)
        self._whole.pop(assistant.id, None)

    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        """See `Assistants`."""
        there = [id for id in ids if id in self._assistants]
        return [line_of(Assistant, self._whole.get(id) or self._assistants[id].model_dump(mode="json")) for id in there]

    async def restore(self, lines: Sequence[bytes]) -> None:
        """See `Assistants`."""
        for one, values in objects_in(Assistant, lines):
            self._assistants[one.id], self._whole[one.id] = one, values

    async def layers(self, assistant_id: str) -> Sequence[SettingsLayer]:
        """See `Assistants`."""
        stored = self._find(assistant_id).model_dump(mode="json", include=set(SETTINGS))
        values = {name: value for name, value in stored.items() if value not in (None, "", [])}
        return [SettingsLayer(origin=f"assistant {assistant_id}", values=values)]

    def _find(self, assistant_id: str) -> Assistant:
        check_name(assistant_id, param="assistant_id")
        if assistant_id not in self._assistants:
            raise NotFound(f"There is no assistant {assistant_id!r}.", param="assistant_id", code="assistant_not_found")
        return self._assistants[assistant_id]

    async def _shown(self, assistant: Assistant) -> Assistant:
        """A copy, so that nobody who changes what they got changes what is stored; with the model that answers."""
        shown = assistant.model_copy(deep=True)
        if not shown.model and "models" in self._jan.endpoints:
            shown.model = next((one.id for one in (await self._jan.models.list()).data), "")
        return shown


@hookimpl
def provide_assistants(settings: Any, jan: Jan) -> AssistantsInMemory:
    """Build the module."""
    return AssistantsInMemory(jan)
