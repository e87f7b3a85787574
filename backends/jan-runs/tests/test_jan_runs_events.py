from __future__ import annotations

import pytest
from jan_runs import events

from jan_core.schemas.runs import RunEvent
from jan_core.sse import frame

MADE = {
    "text": events.text_delta("msg_1", 0, "a\n“"),
    "beginning of a text": events.text_begun("msg_1", 1, "a"),
    "refusal": events.refusal_delta("msg_1", 0, "no"),
    "call": events.call_delta("step_1", 1, "call_1", "add"),
    "arguments": events.arguments_delta("step_1", 1, '{"a": 1}'),
}


class TestDeltas:
    @pytest.mark.parametrize("name", MADE)
    def test_what_is_made_without_checks_passes_them(self, name: str) -> None:
        made = MADE[name]
        checked = RunEvent.model_validate(made.model_dump(mode="json"))
        assert checked.model_dump(mode="json") == made.model_dump(mode="json")
        assert frame(checked) == frame(made)

    def test_only_the_first_piece_of_a_text_says_that_it_has_no_marks(self) -> None:
        first = MADE["beginning of a text"].data.model_dump(mode="json")["delta"]["content"]
        assert first == [{"index": 1, "type": "text", "text": {"value": "a", "annotations": []}}]
        later = MADE["text"].data.model_dump(mode="json")["delta"]["content"]
        assert later == [{"index": 0, "type": "text", "text": {"value": "a\n“"}}]
