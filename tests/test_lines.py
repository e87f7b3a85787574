from __future__ import annotations

import pytest
from pydantic import ValidationError
from pydantic_core import from_json

from jan_core.errors import InvalidRequest
from jan_core.lines import Known, known_in, line_of, objects_in, runs_in, split
from jan_core.schemas.assistants import Assistant
from jan_core.schemas.messages import Message
from jan_core.schemas.runs import KeptRun, Run, StoredRun

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


def test_what_the_api_leaves_out_where_it_is_not_set_stays_out() -> None:
    values = {"id": "a", "created_at": 1, "model": "", "avatar": None, "own": None}
    line = line_of(Assistant, values)
    assert b"avatar" not in line
    assert line.endswith(b'"own":null}')
    assert line_of(Assistant, from_json(line)) == line


def test_objects_of_lines_with_all_that_they_have() -> None:
    line = line_of(Message, {**PLAIN, "own": [1]})
    ((message, values),) = objects_in(Message, [line])
    assert message == Message.model_validate(PLAIN)
    assert values == from_json(line)
    assert objects_in(Message, []) == []


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([b"{"], "no JSON"),
        ([b"[]"], "all of it"),
        ([b"\xff"], "no JSON"),
        ([b'{"id":1}'], "id"),
        ([line_of(Message, PLAIN)] * 2, "twice"),
        ([line_of(Message, {**PLAIN, "id": "../x"})], "../x"),
    ],
)
def test_lines_that_cannot_be_stored(lines: list[bytes], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told) as caught:
        objects_in(Message, lines)
    assert caught.value.param == "lines"


def test_runs_of_lines() -> None:
    made = {"id": "run_1", "thread_id": "t", "created_at": 9, "assistant_id": "a", "model": "m", "status": "completed"}
    line = line_of(StoredRun, {**made, "steps": [], "request": {"x": 1}, "own": 2})
    ((run, values),) = runs_in("t", [line])
    assert run.kept() == KeptRun(run=Run.model_validate(made), request={"x": 1})
    assert values["own"] == 2
    with pytest.raises(InvalidRequest, match="of the thread 't', not of 'u'"):
        runs_in("u", [line])
    with pytest.raises(InvalidRequest, match="is queued"):
        runs_in("t", [line.replace(b"completed", b"queued")])
