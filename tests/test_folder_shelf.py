from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import anyio
import pytest

from jan_core.errors import InvalidRequest
from jan_core.folder import shelf as module
from jan_core.folder.catalogue import Catalogue
from jan_core.folder.locks import Locks
from jan_core.folder.shelf import Asked, Shelf, Unread
from jan_core.ids import thread_time
from jan_core.pages import cut
from jan_core.schemas.pages import PageQuery

pytestmark = pytest.mark.anyio
NAMES = [f"jan-{1_700_000_000 + number // 2}-{number:02}" for number in range(23)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / "things" / name).mkdir(parents=True)
    return tmp_path / "things"


@pytest.fixture
async def shelf(home: Path) -> AsyncIterator[Shelf[str]]:
    news = str(home.parent / ".locks" / "news")
    catalogue = Catalogue(lambda: [str(home)], "x", thread_time, lambda folder: None, Locks(home.parent), news)
    async with Shelf[str](catalogue, lambda name: (home / name).is_dir(), anyio.CapacityLimiter(2)) as made:
        yield made


def asked(
    limit: int = 20, order: Literal["asc", "desc"] = "desc", after: str | None = None, before: str | None = None
) -> Asked:
    return Asked(limit, order, after, before)


async def test_pages_are_those_of_a_listing_in_memory(shelf: Shelf[str]) -> None:
    chance = random.Random(7)
    cursors = [None, None, *NAMES, "unknown"]
    kept = set(NAMES[::3]) | set(NAMES[5:9])
    whole = [SimpleNamespace(id=name) for name in NAMES]
    tried = 0
    for limit, order in itertools.product((1, 2, 5, 100), ("asc", "desc")):
        for _ in range(40):
            after, before = chance.choice(cursors), chance.choice(cursors)
            query = PageQuery.model_validate({"limit": limit, "order": order, "after": after, "before": before})
            some = chance.random() < 0.5
            found = shelf.page(
                asked(limit, query.order, after, before),
                lambda name, may_read, some=some: name if not some or name in kept else None,
            )
            if "unknown" in (after, before):
                with pytest.raises(InvalidRequest) as known:
                    cut(whole, query)
                with pytest.raises(InvalidRequest) as caught:
                    await found
                assert (caught.value.param, caught.value.message) == (known.value.param, known.value.message)
                continue
            expected = cut(whole, query, keep=lambda one, some=some: not some or one.id in kept)
            leaf = await found
            assert leaf.items == [one.id for one in expected.data]
            assert (leaf.first, leaf.last, leaf.has_more) == (expected.first_id, expected.last_id, expected.has_more)
            tried += 1
    assert tried > 100


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_budget_ends_a_page_and_its_cursor_leads_on(
    shelf: Shelf[str], order: Literal["asc", "desc"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUDGET", 4)
    monkeypatch.setattr(module, "INLINE", 2)
    wanted = NAMES[10]
    found, cursor, pages = [], None, 0
    while True:
        leaf = await shelf.page(asked(2, order, cursor), lambda name, may_read: name if name == wanted else None)
        found += leaf.items
        pages += 1
        if not leaf.has_more:
            break
        assert leaf.last is not None
        cursor = leaf.last
    assert found == [wanted]
    assert pages > 4
    back: list[str] = []
    cursor = NAMES[0] if order == "desc" else NAMES[-1]
    while cursor is not None:
        leaf = await shelf.page(asked(2, order, before=cursor), lambda name, may_read: name if name == wanted else None)
        back += leaf.items
        cursor = leaf.first if leaf.has_more else None
    assert back == [wanted]


async def test_time_ends_a_page_too(shelf: Shelf[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", -1)
    leaf = await shelf.page(asked(), lambda name, may_read: name)
    assert leaf.items == [NAMES[-1]]  # one is looked at in any case, or nobody would get on
    assert leaf.has_more
    assert leaf.last == NAMES[-1]


async def test_what_must_be_read_is_read_in_a_thread(shelf: Shelf[str]) -> None:
    where: list[bool] = []

    def look(name: str, may_read: bool) -> str:
        where.append(threading.current_thread() is threading.main_thread())
        if not may_read:
            raise Unread
        return name

    leaf = await shelf.page(asked(3), look)
    assert leaf.items == NAMES[:-4:-1]
    assert where == [True, False, False, False, False]


async def test_an_object_that_stands_elsewhere_moves_before_the_page_is_shown(shelf: Shelf[str]) -> None:
    def look(name: str, may_read: bool) -> str:
        if name == NAMES[-1]:
            shelf.catalogue.learn(name, 1_600_000_000)
        if name == NAMES[0]:
            shelf.catalogue.learn(name, 1_900_000_000)
        return name

    assert (await shelf.page(asked(3), look)).items == [NAMES[-2], NAMES[-3], NAMES[-4]]
    assert (await shelf.page(asked(2, "asc"), look)).items == [NAMES[-1], NAMES[1]]
    assert (await shelf.page(asked(2), look)).items == [NAMES[0], NAMES[-2]]


async def test_requests_share_a_scan_and_none_gets_an_older_one(shelf: Shelf[str], home: Path) -> None:
    async with anyio.create_task_group() as group:
        for number in range(30):

            async def one(number: int = number) -> None:
                name = f"jan-1800000000-{number:02}"
                os.mkdir(home / name)
                leaf = await shelf.page(asked(100), lambda name, may_read: name)
                assert name in leaf.items

            group.start_soon(one)


async def test_what_may_have_been_missed_is_looked_for_behind_the_reply(
    shelf: Shelf[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await shelf.page(asked(), lambda name, may_read: name)
    looked: list[bool] = []
    monkeypatch.setattr(shelf.catalogue, "may_have_missed", lambda: True)
    monkeypatch.setattr(shelf.catalogue, "refresh", lambda *, again: looked.append(again))
    await shelf.page(asked(), lambda name, may_read: name)
    await shelf.__aexit__(None, None, None)
    assert looked == [True]
