from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan
from jan_core.errors import Conflict, InvalidRequest, NotFound
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.pages import PageQuery
from jan_core.validation import parse_query
from tests.conversations import KINDS, app, changed_assistant, new_assistant, under, written

pytestmark = pytest.mark.anyio

IDS = ["nope", "..", "../x", "a/b", "", "\0", "CON", "é", "x" * 500]
"""Ids of nothing, or of nothing that there can be."""
FULL: dict[str, Any] = {
    "model": "scripted",
    "name": "Math",
    "description": "d",
    "instructions": "i",
    "reasoning_effort": "high",
    "tools": [{"type": "file_search"}, {"type": "function", "function": {"name": "f", "parameters": {"a": [1]}}}],
    "tool_resources": {"code_interpreter": {"file_ids": ["file-1"]}},
    "metadata": {"a": "b"},
    "temperature": 0.5,
    "top_p": 1.0,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
    "avatar": "🧮",
}


@pytest.fixture(params=KINDS)
async def jan(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Jan]:
    async with app(request.param, tmp_path) as made:
        yield made


async def listed(jan: Jan, **query: object) -> list[str]:
    texts = {name: str(value) for name, value in query.items()}
    return [one.id for one in (await jan.assistants.list(parse_query(PageQuery, texts))).data]


async def test_jan_is_there_from_the_first_start(jan: Jan) -> None:
    assert await listed(jan) == ["jan"]
    found = await jan.assistants.retrieve("jan")
    assert (found.name, found.model, found.object) == ("Jan", "scripted", "assistant")


async def test_jan_may_be_modified_and_not_deleted(jan: Jan) -> None:
    changed = await jan.assistants.update("jan", changed_assistant(name="Joan", instructions="Be kind."))
    assert (changed.name, changed.instructions, changed.model) == ("Joan", "Be kind.", "scripted")
    with pytest.raises(InvalidRequest) as caught:
        await jan.assistants.delete("jan")
    assert caught.value.code == "protected_assistant"
    assert await jan.assistants.retrieve("jan") == changed


async def test_without_any_model_the_model_is_an_empty_string(jan: Jan) -> None:
    await jan.models.delete("scripted")
    assert (await jan.assistants.retrieve("jan")).model == ""


async def test_what_was_asked_for_is_kept(jan: Jan) -> None:
    made = await jan.assistants.create(new_assistant(**FULL))
    assert made.id.startswith("asst_")
    assert written(made) == {**FULL, "id": made.id, "object": "assistant", "created_at": made.created_at}
    assert await jan.assistants.retrieve(made.id) == made
    bare = await jan.assistants.create(new_assistant())
    assert written(bare) == {
        "id": bare.id,
        "object": "assistant",
        "created_at": bare.created_at,
        "model": "scripted",
        "tools": [],
        "metadata": {},
        **dict.fromkeys(
            ("name", "description", "instructions", "tool_resources", "temperature", "top_p", "response_format")
        ),
    }


async def test_an_update_changes_what_it_has(jan: Jan) -> None:
    made = await jan.assistants.create(new_assistant(**FULL))
    changes: dict[str, Any] = {"name": "B", "metadata": {"c": "d"}, "tools": [], "temperature": None, "model": "other"}
    changed = await jan.assistants.update(made.id, changed_assistant(**changes))
    assert written(changed) == {**written(made), **changes}
    assert await jan.assistants.retrieve(made.id) == changed
    assert await jan.assistants.update(made.id, changed_assistant()) == changed
    assert (await jan.assistants.update(made.id, changed_assistant(metadata=None))).metadata == {}


async def test_they_are_listed_by_time_and_id(jan: Jan) -> None:
    await jan.assistants.put(Assistant(id="new", created_at=4_000_000_002, model="m"))
    for name in ("b", "a"):
        await jan.assistants.put(Assistant(id=name, created_at=4_000_000_001, model="m"))
    assert await listed(jan) == ["new", "b", "a", "jan"]
    assert await listed(jan, order="asc", limit=2) == ["jan", "a"]
    assert await listed(jan, after="b", limit=1) == ["a"]
    assert await listed(jan, before="b") == ["new"]
    for name in ("after", "before"):
        with pytest.raises(InvalidRequest) as caught:
            await listed(jan, **{name: "nope"})
        assert caught.value.param == name


async def test_a_deleted_assistant_is_gone(jan: Jan) -> None:
    made = await jan.assistants.create(new_assistant())
    told = await jan.assistants.delete(made.id)
    assert written(told) == {"id": made.id, "object": "assistant.deleted", "deleted": True}
    assert await listed(jan) == ["jan"]
    for ask in (jan.assistants.retrieve(made.id), jan.assistants.delete(made.id), jan.assistants.layers(made.id)):
        with pytest.raises(NotFound) as caught:
            await ask
        assert (caught.value.code, caught.value.param) == ("assistant_not_found", "assistant_id")


@pytest.mark.parametrize("name", IDS)
async def test_ids_of_nothing_are_not_found_or_refused(jan: Jan, name: str) -> None:
    for ask in (
        jan.assistants.retrieve(name),
        jan.assistants.update(name, changed_assistant(name="x")),
        jan.assistants.delete(name),
        jan.assistants.layers(name),
    ):
        with pytest.raises((NotFound, InvalidRequest)) as caught:
            await ask
        assert caught.value.param == "assistant_id"
        assert caught.value.code in ("invalid_id", "assistant_not_found")
    assert await listed(jan) == ["jan"]


async def test_a_repeated_request_makes_nothing_and_gets_the_first_reply(jan: Jan) -> None:
    first = await under("k", lambda: jan.assistants.create(new_assistant(**FULL)))
    await jan.assistants.update(first.id, changed_assistant(name="B"))
    assert written(await under("k", lambda: jan.assistants.create(new_assistant(**FULL)))) == written(first)
    assert (await under("l", lambda: jan.assistants.create(new_assistant(**FULL)))).id != first.id
    assert len(await listed(jan)) == 3
    with pytest.raises(Conflict) as caught:
        await under("k", lambda: jan.assistants.create(new_assistant(name="C")))
    assert (caught.value.code, caught.value.param) == ("idempotency_conflict", None)


async def test_layers_tell_what_the_assistant_sets_and_no_defaults(jan: Jan) -> None:
    made = (await jan.assistants.create(new_assistant(**FULL))).id
    merged: dict[str, Any] = {}
    for layer in reversed(await jan.assistants.layers(made)):
        assert made in layer.origin
        merged |= layer.values
    names = ("model", "instructions", "tools", "temperature", "top_p", "response_format", "reasoning_effort")
    assert {name: merged.get(name) for name in names} == {name: FULL[name] for name in names}
    assert not {"name", "description", "metadata", "avatar"} & set(merged)
    found: dict[str, Any] = {}
    for layer in await jan.assistants.layers("jan"):
        found |= {name: value for name, value in layer.values.items() if value is not None}
    assert "model" not in found
    assert "temperature" not in found


async def test_put_keeps_ids_and_times_and_replaces(jan: Jan) -> None:
    await jan.assistants.put(Assistant(id="shakespeare", created_at=5, model="m", name="A", metadata={"a": "b"}))
    assert (await jan.assistants.retrieve("shakespeare")).created_at == 5
    await jan.assistants.put(Assistant(id="shakespeare", created_at=6, model="m", name="B"))
    again = await jan.assistants.retrieve("shakespeare")
    assert (again.name, again.created_at, again.metadata) == ("B", 6, {})
    assert sorted(await listed(jan)) == ["jan", "shakespeare"]


async def test_a_caller_may_change_what_it_was_given(jan: Jan) -> None:
    made = await under("k", lambda: jan.assistants.create(new_assistant(**FULL)))
    kept = written(made)
    for one in (made, await jan.assistants.retrieve(made.id)):
        one.metadata["a"] = "c"
        one.tools.clear()
    assert written(await jan.assistants.retrieve(made.id)) == kept
    assert written(await under("k", lambda: jan.assistants.create(new_assistant(**FULL)))) == kept
