from __future__ import annotations

import pytest
from jan_assistants_postgresql.rows import assistants_of, fields_of

from jan_core.schemas.assistants import Assistant

FULL = Assistant.model_validate(
    {
        "id": "asst_1",
        "created_at": 1,
        "name": "\0 \U0001f600",
        "model": "m",
        "instructions": '"\\\n',
        "tools": [{"type": "code_interpreter"}],
        "metadata": {"a\0": "b"},
        "temperature": 0.5,
        "avatar": "x",
    }
)


@pytest.mark.parametrize("assistant", [FULL, Assistant(id="jan", created_at=2, model="")])
def test_there_and_back(assistant: Assistant) -> None:
    assert assistants_of([(assistant.id, assistant.created_at, fields_of(assistant))]) == [assistant]
