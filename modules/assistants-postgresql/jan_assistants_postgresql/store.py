"""The assistants endpoint in PostgreSQL: a row an assistant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jan_postgresql import Postgresql
from jan_postgresql.faults import AWAY
from jan_postgresql.replies import kept_reply, sweep
from jan_postgresql.texts import is_storable
from pydantic_core import to_json
from typing_extensions import override

from jan_assistants_postgresql import statements
from jan_assistants_postgresql.rows import (
    assistants_of,
    fields_changed,
    fields_of,
    line,
    restoring,
    settings_in,
)
from jan_assistants_postgresql.statements import Place
from jan_core.endpoints.assistants import Assistants
from jan_core.errors import InvalidRequest, JanError, NotFound, Unavailable
from jan_core.folder.names import check_name
from jan_core.idempotency import once
from jan_core.ids import new_id, now
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
    from jan_postgresql.database import Connection

    from jan_core.app import Jan

DEFAULT = "jan"
"""The assistant that is always there; a migration made it."""


class AssistantsPostgresql(Assistants):
    """Assistants in the table `jan.assistants`.

    Args:
        jan: gives the database, and the models, of which the first one answers where an assistant names none.
    """

    def __init__(self, jan: Jan) -> None:
        self._jan = jan
        self._database = jan.backend(Postgresql)
        self._database.needs("assistants-postgresql", "jan_assistants_postgresql")

    @override
    async def create(self, body: AssistantRequest) -> Assistant:
        _check_location(body.thread_location)
        asked = once("assistants.create", body)
        assistant = Assistant.of(body, id=new_id("asst_"), created_at=now())
        values = [assistant.id, assistant.created_at, fields_of(assistant)]

        async def add(connection: Connection) -> Assistant:
            if asked is None:
                await connection.execute(statements.ADD, values)
                return assistant
            noted = [asked.key, "", asked.fingerprint, assistant.model_dump_json()]
            if (await connection.execute(statements.ADD_ONCE, [*noted, *values])).rowcount == 1:
                await sweep(connection)
                return assistant
            reply = await kept_reply(connection, asked)
            if reply is None:
                raise Unavailable("The reply under this Idempotency-Key was just forgotten; try again.")
            return Assistant.model_validate_json(reply)

        return await self._database.do(add)

    @override
    async def list(self, query: PageQuery) -> AssistantPage:
        async def look(connection: Connection) -> AssistantPage:
            after = await _place(connection, "after", query.after)
            before = await _place(connection, "before", query.before)
            # With `before` alone, the page right in front of it: from there backwards, and turned round at the end.
            backwards = before is not None and after is None
            ascending = (query.order == "asc") is not backwards
            begin, end = (before, None) if backwards else (after, before)
            listed = statements.listing(begin, end, ascending=ascending, limit=query.limit)
            rows = await (await connection.execute(*listed)).fetchall()
            found = assistants_of(rows[: query.limit])
            if backwards:
                found.reverse()
            return AssistantPage(
                data=found,
                first_id=found[0].id if found else None,
                last_id=found[-1].id if found else None,
                has_more=len(rows) > query.limit,
            )

        page = await self._database.do(look)
        if not all(one.model for one in page.data):
            first = await self._first_model()
            for one in page.data:
                one.model = one.model or first
        return page

    @override
    async def retrieve(self, assistant_id: str) -> Assistant:
        return await self._shown(assistants_of([await self._find(assistant_id)])[0])

    @override
    async def update(self, assistant_id: str, body: AssistantUpdate) -> Assistant:
        check_name(assistant_id, param="assistant_id")
        _check_location(body.thread_location)

        async def change(connection: Connection) -> Assistant:
            async with connection.transaction():
                row = await _row(connection, statements.FIND_TO_CHANGE, assistant_id)
                assistant = assistants_of([row])[0].changed(body)
                # Written and read, so that the answer is what is stored.
                changed = Assistant.model_validate_json(assistant.model_dump_json())
                fields = fields_changed(row[2], changed, body.model_fields_set)
                await connection.execute(statements.CHANGE, [fields, assistant_id])
                return changed

        return await self._shown(await self._database.do(change))

    @override
    async def delete(self, assistant_id: str) -> AssistantDeleted:
        check_name(assistant_id, param="assistant_id")
        if assistant_id == DEFAULT:
            raise InvalidRequest(
                "The assistant 'jan' is always there and cannot be deleted; it can be modified.",
                param="assistant_id",
                code="protected_assistant",
            )
        begun = 0

        async def remove(connection: Connection) -> None:
            nonlocal begun
            begun += 1
            if (await connection.execute(statements.DELETE, [assistant_id])).rowcount == 0:
                if begun > 1:
                    raise Unavailable("The database broke off, and the assistant is gone by now.", code=AWAY)
                raise _not_found(assistant_id)

        await self._database.do(remove)
        return AssistantDeleted(id=assistant_id, deleted=True)

    @override
    async def put(self, assistant: Assistant) -> None:
        check_name(assistant.id, param="assistant_id")
        values = [assistant.id, assistant.created_at, fields_of(assistant)]

        async def store(connection: Connection) -> None:
            await connection.execute(statements.PUT, values)

        await self._database.do(store)

    @override
    async def layers(self, assistant_id: str) -> Sequence[SettingsLayer]:
        origin = f"PostgreSQL, jan.assistants, {assistant_id}"
        found = settings_in((await self._find(assistant_id))[2])
        return [SettingsLayer(origin=origin, values=values) for values in found if values]

    @override
    async def export(self, ids: Sequence[str]) -> Sequence[bytes]:
        asked = [id for id in ids if is_storable(id)]

        async def look(connection: Connection) -> dict[str, bytes]:
            rows = await (await connection.execute(statements.EXPORT, [asked])).fetchall()
            return {row[0]: line(*row) for row in rows}

        found = await self._database.do(look)
        return [found[id] for id in asked if id in found]

    @override
    async def restore(self, lines: Sequence[bytes]) -> None:
        rows = restoring(lines)

        async def store(connection: Connection) -> None:
            await connection.execute(statements.RESTORE, [to_json(rows).decode()])

        if rows:
            await self._database.do(store)

    async def _find(self, assistant_id: str) -> Sequence[Any]:
        """The row of an assistant, as `COLUMNS`."""
        check_name(assistant_id, param="assistant_id")

        async def look(connection: Connection) -> Sequence[Any]:
            return await _row(connection, statements.FIND, assistant_id)

        return await self._database.do(look)

    async def _shown(self, assistant: Assistant) -> Assistant:
        if not assistant.model:
            assistant.model = await self._first_model()
        return assistant

    async def _first_model(self) -> str:
        """The model that answers where an assistant names none; an empty string where none is installed."""
        if "models" not in self._jan.endpoints:
            return ""
        try:
            listed = (await self._jan.models.list()).data
        except JanError:
            return ""
        return str(listed[0].id) if listed else ""


def _check_location(place: str | None) -> None:
    if place is not None:
        raise InvalidRequest(
            "thread_location: an assistant in PostgreSQL has no folder, and its threads lie where the module of "
            "threads keeps them; leave it out.",
            param="thread_location",
            code="invalid_location",
        )


async def _row(connection: Connection, statement: str, assistant_id: str) -> Sequence[Any]:
    row = await (await connection.execute(statement, [assistant_id])).fetchone()
    if row is None:
        raise _not_found(assistant_id)
    return row


async def _place(connection: Connection, param: str, id: str | None) -> Place | None:
    if id is None:
        return None
    row = None
    if is_storable(id):
        row = await (await connection.execute(statements.PLACE, [id])).fetchone()
    if row is None:
        raise InvalidRequest(f"{param}: there is no object {id[:200]!a} in this listing.", param=param)
    return int(row[0]), id


def _not_found(assistant_id: str) -> NotFound:
    return NotFound(f"There is no assistant {assistant_id!r}.", param="assistant_id", code="assistant_not_found")
