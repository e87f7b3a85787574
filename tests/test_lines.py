from __future__ import annotations

import pytest
from pydantic import ValidationError

from jan_core.lines import Known, known_in, line_of, split
from jan_core.schemas.messages import Message

PLAIN = {"id": "msg_1", "created_at": 1, "thread_id": "t", "role": "user", "content": []}
PART = {"type": "text", "text": {"value": "\0\U0001f600", "annotations": []}}


def test_a_line_of_what_is_known_is_written_as_a_reply() -> None:
    line = line_of(Message, PLAIN)
    assert line == Message.model_validate(PLAIN).model_dump_json().encode()
    assert known_in(Message, [line, line]) == Known(("msg_1", "msg_1"), frozenset({"t"}))
    assert known_in(Message, []) == Known((), frozenset())
    assert split(Message, line)[1] == {}


def test_what_is_not_known_stands_behind_in_the_order_of_its_names() -> None:
    part = {**PART, "text": {**PART["text"], "own": 1}}  # type: ignore[dict-item]
    one = line_of(Message, {"z": [1.5], **PLAIN, "content": [part], "a": None})
    assert one == line_of(Message, {**PLAIN, "a": None, "content": [part], "z": [1.5]})
    assert one.endswith(b'"metadata":{},"a":null,"z":[1.5]}')
    assert b'"annotations":[],"own":1}' in one
    assert known_in(Message, [one]) is None
    known, others = split(Message, one)
    assert others == {"a": None, "z": [1.5]}
    assert known["content"] == [part]
    assert line_of(Message, {**known, **others}) == one


@pytest.mark.parametrize("line", [b"{}", b"[]", b"{", b'{"id":1}'])
def test_what_is_no_message(line: bytes) -> None:
    assert known_in(Message, [line]) is None


def test_a_line_of_what_is_no_message() -> None:
    with pytest.raises(ValidationError):
        line_of(Message, {"id": "msg_1"})
