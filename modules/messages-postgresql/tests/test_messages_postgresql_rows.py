from __future__ import annotations

import pytest
from jan_messages_postgresql.rows import STORED, messages_of, values_of
from jan_postgresql.texts import as_json

from jan_core.errors import InvalidRequest
from jan_core.schemas.messages import Message

FULL = Message.model_validate(
    {
        "id": "msg_1",
        "created_at": 1,
        "completed_at": None,
        "incomplete_at": 3,
        "thread_id": "jan-1",
        "status": "incomplete",
        "incomplete_details": {"reason": "run_cancelled"},
        "role": "assistant",
        "assistant_id": 'j"an',
        "run_id": "run_ü",
        "content": [
            {"type": "text", "text": {"value": "a\0\u2028\U0001f600", "annotations": []}},
            {"type": "image_url", "image_url": {"url": "data:,"}},
        ],
        "attachments": [{"file_id": "file-1", "tools": [{"type": "code_interpreter"}]}],
        "metadata": {"a\0": '"\\'},
    }
)
BARE = Message(id="msg_2", created_at=2, thread_id="jan-1", role="user", content=[])


@pytest.mark.parametrize("message", [FULL, BARE])
def test_there_and_back(message: Message) -> None:
    assert messages_of("jan-1", [values_of(message)]) == [message]


def test_as_many_values_as_columns() -> None:
    assert len(values_of(FULL)) == len(STORED.split(", "))


def test_a_run_that_no_column_can_hold() -> None:
    with pytest.raises(InvalidRequest) as refused:
        values_of(BARE.model_copy(update={"run_id": "a\0"}))
    assert refused.value.param == "run_id"


def test_json_is_one_line_without_a_nul() -> None:
    assert "\0" not in as_json({"a": "\0"})
