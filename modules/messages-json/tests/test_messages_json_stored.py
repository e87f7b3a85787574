from __future__ import annotations

import json
from typing import Any

import pytest
from jan_messages_json.stored import (
    changed,
    element,
    fault_of,
    first_reply,
    message_of,
    messages_of,
    name_of_key,
    names,
)
from pydantic import ValidationError

from jan_core.errors import Conflict
from jan_core.folder.elements import scan
from jan_core.folder.views import Element, ScannedView
from jan_core.idempotency import Once
from jan_core.schemas.messages import Message, MessageRequest

MESSAGE = Message.of(MessageRequest(role="user", content="hi"), id="msg_1", thread_id="jan-1", created_at=5)
ASKED = Once("0123", "4567")


def test_there_and_back() -> None:
    for asked in (None, ASKED):
        raw = element(MESSAGE, asked)
        assert b"\n" not in raw
        assert raw.startswith(b'{"id":"msg_1",')
        assert message_of(raw, "jan-1") == MESSAGE
        assert message_of(raw, "jan-2").thread_id == "jan-2"
    assert json.loads(element(MESSAGE)) == MESSAGE.model_dump(mode="json")


def test_names() -> None:
    assert names(json.loads(element(MESSAGE, ASKED))) == ["msg_1", name_of_key("0123")]
    odd: list[dict[str, Any]] = [{}, {"id": 5}, {"idempotency": 5}, {"idempotency": {"key": 5}}]
    assert [names(one) for one in odd] == [[], [], [], []]


def test_the_first_reply_is_kept_once() -> None:
    second = MESSAGE.model_copy(update={"metadata": {"a": "b"}})
    third = MESSAGE.model_copy(update={"metadata": {"c": "d"}})
    raw = element(MESSAGE, ASKED)
    for later in (second, third):
        raw = changed(raw, later)
        assert message_of(raw, "jan-1") == later
        assert first_reply(raw, ASKED) == MESSAGE
    with pytest.raises(Conflict):
        first_reply(raw, Once("0123", "other"))
    assert "idempotency" not in json.loads(changed(element(MESSAGE), second))


def test_a_change_keeps_what_is_not_known() -> None:
    raw = b'{"mood":1.10,' + element(MESSAGE)[1:]
    found = json.loads(changed(raw, MESSAGE.model_copy(update={"metadata": {"a": "ü"}})))
    assert found == {"mood": 1.1, **MESSAGE.model_dump(mode="json"), "metadata": {"a": "ü"}}


def test_damaged_ones_are_left_out() -> None:
    good = element(MESSAGE)
    bad = [b'{"id":"x"}', b"1", b"null", b"[]", b'{"id":"x","content":"\\ud800"}']
    view = ScannedView(scan(b"[" + b",".join([good, *bad, good]) + b"]"), names)
    assert messages_of(view, [*view.oldest_first()], "jan-1") == [MESSAGE, MESSAGE]
    assert messages_of(view, [Element(0, good)], "jan-1") == [MESSAGE]
    assert messages_of(view, [], "jan-1") == []


def test_faults_in_words() -> None:
    for raw, words in (
        (b'{"id":"x"}', "created_at: field required"),
        (b"[]", "the message: "),
        (b'{"a":"\\ud800"}', ""),
    ):
        with pytest.raises(ValueError) as found:
            message_of(raw, "jan-1")
        assert fault_of(found.value, raw).startswith(words)
        assert isinstance(found.value, ValidationError) == bool(words)
