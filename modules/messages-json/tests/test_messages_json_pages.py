from __future__ import annotations

import itertools

import pytest
from jan_messages_json.pages import page
from jan_messages_json.stored import element, names

from jan_core.errors import InvalidRequest
from jan_core.folder.elements import joined, scan
from jan_core.folder.views import ScannedView
from jan_core.pages import cut
from jan_core.schemas.messages import Message, MessageRequest, MessagesQuery


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


def test_every_page_is_the_one_that_is_cut_from_the_whole() -> None:
    """All combinations of cursors, orders, limits and filters over a small list."""
    for count in (0, 1, 7):
        all_of = messages(count)
        view = ScannedView(scan(joined([element(one) for one in all_of])), names)
        cursors = [None, *(one.id for one in all_of)]
        for after, before, order, limit, run_id in itertools.product(
            cursors, cursors, ("asc", "desc"), (1, 2, 20), (None, "run_1", 'run_"ä', "run_none")
        ):
            query = MessagesQuery.model_validate(
                {"after": after, "before": before, "order": order, "limit": limit, "run_id": run_id}
            )
            expected = cut(all_of, query, keep=lambda one, run_id=run_id: run_id in (None, one.run_id))  # type: ignore[misc]
            found = page(view, "jan-1", query)
            assert found.model_dump() == expected.model_dump(), query


def test_a_cursor_that_names_nothing() -> None:
    view = ScannedView(scan(joined([element(one) for one in messages(3)])), names)
    for name in ("after", "before"):
        with pytest.raises(InvalidRequest) as refused:
            page(view, "jan-1", MessagesQuery.model_validate({name: "msg_\ud800" + "x" * 10_000}))
        assert refused.value.param == name
        assert len(refused.value.message) < 400
        refused.value.encoded()
