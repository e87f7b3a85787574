from __future__ import annotations

import os
from pathlib import Path

import pytest
from jan_runs_json.names import RunNames, run_of

from jan_core.ids import new_timed_id, timed_id_time
from jan_core.schemas.runs import RunsQuery

from .conftest import THREAD, Store, kept

pytestmark = pytest.mark.anyio


def test_which_files_are_runs() -> None:
    assert run_of("run_1.json") == "run_1"
    for other in ("run_1", ".json", ".tmp-1", "run_1.json.broken", "a b.json", "..json", ".run_1.json", "con.json"):
        assert run_of(other) is None


async def test_runs_come_by_time_and_id_page_by_page(store: Store) -> None:
    times = {"b": 5, "a": 5, "run_x": 3, "c": 9}
    for id, at in times.items():
        await store.ended(id, created_at=at)
    new = await store.ended()
    expected = ["run_x", "a", "b", "c", new.run.id]
    for limit in (1, 2, 3, 5):
        for order in ("asc", "desc"):
            found: list[str] = []
            after = None
            while True:
                query = RunsQuery.model_validate({"limit": limit, "order": order, "after": after})
                page = await store.runs.page(THREAD, query)
                found += [one.id for one in page.data]
                if not page.has_more:
                    break
                after = page.last_id
            assert found == (expected if order == "asc" else expected[::-1])
    page = await store.runs.page(THREAD, RunsQuery(before="c", limit=2, order="asc"))
    assert [one.id for one in page.data] == ["a", "b"]


async def test_what_others_add_move_and_remove_is_seen(store: Store, other: Store) -> None:
    first, second = await store.ended(), await store.ended()
    assert len((await store.runs.page(THREAD, RunsQuery())).data) == 2
    third = await other.ended()
    assert (await store.runs.page(THREAD, RunsQuery())).first_id == third.run.id
    store.file(first.run.id).unlink()
    values = store.values(third.run.id)
    store.write(third.run.id, {**values, "created_at": 5})
    found = [one.id for one in (await store.runs.page(THREAD, RunsQuery())).data]
    assert found == [second.run.id, third.run.id]
    store.write(".hidden", "{}")
    (store.folder / "notes.txt").write_text("mine")
    assert [one.id for one in (await store.runs.page(THREAD, RunsQuery())).data] == found


async def test_a_page_of_many_reads_its_own_runs_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.folder.mkdir(parents=True)
    ids = [new_timed_id("run_") for _ in range(3000)]
    text = kept(status="completed").run.model_dump_json()
    for id in ids:
        store.file(id).write_text(text)
    await store.runs.page(THREAD, RunsQuery())
    opened: list[str] = []
    listed: list[str] = []
    really_open, really_list = os.open, os.listdir

    def seen_open(path: str, *rest: int) -> int:
        opened.append(str(path))
        return really_open(path, *rest)

    def seen_list(path: str) -> list[str]:
        listed.append(path)
        return really_list(path)

    monkeypatch.setattr(os, "open", seen_open)
    monkeypatch.setattr(os, "listdir", seen_list)
    new = kept()
    await store.runs.begin(new, None)
    await store.end(new.run.id)
    page = await store.runs.page(THREAD, RunsQuery(after=ids[1500], limit=20))
    assert [one.id for one in page.data] == ids[1480:1500][::-1]
    assert (await store.runs.page(THREAD, RunsQuery(limit=1))).data[0].id == new.run.id
    assert not [path for path in listed if path == str(store.folder)]
    assert len([path for path in opened if path.endswith(".json")]) < 40


def test_the_time_is_read_where_the_name_does_not_tell_it(tmp_path: Path) -> None:
    timed = new_timed_id("run_")
    for name in (timed, "b", "broken"):
        (tmp_path / f"{name}.json").write_text("{}")
    asked: list[str] = []

    def read_time(path: str) -> int | None:
        asked.append(os.path.basename(path))
        return 7 if path.endswith("b.json") else None

    names = RunNames(str(tmp_path), read_time)
    names.refresh()
    assert names.names(None, None, 9, newest_first=False) == ["broken", "b", timed]
    assert names.key(timed) == (timed_id_time(timed, "run_"), timed)
    assert sorted(asked) == ["b.json", "broken.json"]
    names.learn("broken", 8)
    names.learn("unknown", 8)
    assert names.names(None, None, 9, newest_first=False) == ["b", "broken", timed]
    assert not names.knows("unknown")
    assert len(names) == 3
