from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from jan_messages_json.pages import page
from jan_messages_json.stored import element, names

from jan_core.errors import InvalidRequest
from jan_core.folder.elements import joined, scan
from jan_core.folder.lists import Lists
from jan_core.folder.locks import Locks
from jan_core.folder.views import ListView, ScannedView
from jan_core.pages import cut
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery

T = TypeVar("T")


def messages(count: int) -> list[Message]:
    return [
        Message.of(
            MessageRequest(role="user", content=f"about run_1 {number}"),
            id=f"msg_{number}",
            thread_id="jan-1",
            created_at=number,
        ).model_copy(update={"run_id": [None, "run_1", 'run_"ä'][number % 3]})
        for number in range(count)
    ]


def seen(data: bytes, look: Callable[[ListView], T]) -> T:
    return look(ScannedView(scan(data), names))


@pytest.mark.parametrize("place", ["in memory", "in a file"])
def test_every_page_is_the_one_that_is_cut_from_the_whole(tmp_path: Path, place: str) -> None:
    """All combinations of cursors, orders, limits and filters over a small list."""
    for count in (0, 1, 7):
        all_of = messages(count)
        path = tmp_path / f"{count}.json"
        path.write_bytes(joined([element(one) for one in all_of]))
        lists = Lists(Locks(tmp_path), names)
        look = partial(lists.read, str(path), "x") if place == "in a file" else partial(seen, path.read_bytes())
        cursors = [None, *(one.id for one in all_of)]
        for after, before, order, limit, run_id in itertools.product(
            cursors, cursors, ("asc", "desc"), (1, 2, 20), (None, "run_1", 'run_"ä', "run_none")
        ):
            query = MessagesQuery.model_validate(
                {"after": after, "before": before, "order": order, "limit": limit, "run_id": run_id}
            )
            expected = cut(all_of, query, keep=lambda one, run_id=run_id: run_id in (None, one.run_id))  # type: ignore[misc]
            found = look(lambda view, query=query: page(view, "jan-1", query))  # type: ignore[misc]
            assert found.model_dump() == expected.model_dump(), query


def test_lines_that_are_no_elements(tmp_path: Path) -> None:
    """Messages that a person spread over several lines, or put on one, count as what they are."""
    all_of = messages(12)
    spread = [json.dumps(json.loads(element(one)), indent=0).encode() for one in all_of]
    lists = Lists(Locks(tmp_path), names)
    for number, text in enumerate(
        (b",\n".join(spread), b",\n".join(map(element, all_of[:9])) + b", " + b", ".join(spread[9:]))
    ):
        path = tmp_path / f"{number}.json"
        path.write_bytes(b"[\n" + text + b"\n]\n")
        for limit in range(1, 101):  # some of them cut the text between two messages
            query = MessagesQuery(limit=limit)
            found = lists.read(str(path), "x", lambda view, query=query: page(view, "jan-1", query))  # type: ignore[misc]
            assert found.model_dump() == cut(all_of, query).model_dump(), limit


def test_a_damaged_message_is_left_out_of_the_newest(tmp_path: Path) -> None:
    all_of = messages(9)
    elements = [element(one) for one in all_of]
    elements[3], elements[7] = b'{"id":"msg_3"}', b'{"id":"msg_7","content":"\\ud800"}'
    (tmp_path / "a").write_bytes(joined(elements))
    whole = [one for one in all_of if one.id not in ("msg_3", "msg_7")]
    for limit in (1, 2, 3, 20):
        query = MessagesQuery(limit=limit)
        found = Lists(Locks(tmp_path), names).read(
            str(tmp_path / "a"),
            "x",
            lambda view, query=query: page(view, "jan-1", query),  # type: ignore[misc]
        )
        assert found.model_dump() == cut(whole, query).model_dump()


def test_a_cursor_that_names_nothing() -> None:
    view = ScannedView(scan(joined([element(one) for one in messages(3)])), names)
    for name in ("after", "before"):
        with pytest.raises(InvalidRequest) as refused:
            page(view, "jan-1", MessagesQuery.model_validate({name: "msg_\ud800" + "x" * 10_000}))
        assert refused.value.param == name
        assert len(refused.value.message) < 400
        refused.value.encoded()


@pytest.mark.parametrize("place", ["in memory", "in a file"])
def test_messages_of_one_id_are_shown_once_and_hide_nothing(tmp_path: Path, place: str) -> None:
    """Every way of turning pages comes to an end, and shows every id once."""
    lists = Lists(Locks(tmp_path), names)
    many = [0, 1, *[2] * 12, 3, 2, 4]  # more than an index notes
    for number, ids in enumerate((*itertools.product(range(3), repeat=4), many, [7] * 40)):
        path = tmp_path / f"{number}.json"
        all_of = [one.model_copy(update={"id": f"msg_{id}"}) for one, id in zip(messages(len(ids)), ids, strict=True)]
        path.write_bytes(joined([element(one) for one in all_of]))
        look = partial(lists.read, str(path), "x") if place == "in a file" else partial(seen, path.read_bytes())
        for order, limit, cursor in itertools.product(("asc", "desc"), (1, 2, 20), ("after", "before")):
            whole = list({one.id: one for one in all_of[:: 1 if order == "desc" else -1]}.values())
            whole.sort(key=all_of.index, reverse=order == "desc")
            shown: list[Message] = []
            given = {}
            if cursor == "before":
                given = {"before": whole[-1].id}
                shown.append(whole[-1])
            for _ in range(len(all_of) + 1):
                query = MessagesQuery.model_validate({"order": order, "limit": limit, **given})
                found = look(lambda view, query=query: page(view, "jan-1", query))  # type: ignore[misc]
                shown = [*shown, *found.data] if cursor == "after" else [*found.data, *shown]
                if not found.has_more:
                    break
                given = {cursor: found.last_id if cursor == "after" else found.first_id}
            else:
                raise AssertionError(f"no end: {query}")
            assert shown == whole, (ids, order, limit, cursor)
            middle = whole[len(whole) // 2]
            query = MessagesQuery.model_validate({"order": order, "after": whole[0].id, "before": middle.id})
            found = look(lambda view, query=query: page(view, "jan-1", query))  # type: ignore[misc]
            assert found.data == whole[1 : len(whole) // 2]


def test_a_run_in_which_messages_have_one_id(tmp_path: Path) -> None:
    ids = [0, 1, 2, 0, 3, 1, 4]
    all_of = [one.model_copy(update={"id": f"msg_{id}"}) for one, id in zip(messages(7), ids, strict=True)]
    path = tmp_path / "a.json"
    path.write_bytes(joined([element(one) for one in all_of]))
    for order, limit in itertools.product(("asc", "desc"), (1, 2)):
        shown: list[str] = []
        after = None
        for _ in range(7):
            query = MessagesQuery.model_validate({"order": order, "limit": limit, "run_id": "run_1", "after": after})
            found = Lists(Locks(tmp_path), names).read(
                str(path),
                "x",
                lambda view, query=query: page(view, "jan-1", query),  # type: ignore[misc]
            )
            shown += [one.id for one in found.data]
            after = found.last_id
            if not found.has_more:
                break
        else:
            raise AssertionError("no end")
        assert set(shown) == {"msg_1", "msg_3"}
