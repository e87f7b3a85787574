from __future__ import annotations

from typing import Any

from jan_runs.calling import Calling
from jan_runs.feed import Feed

from jan_core.schemas.chat.reply import ToolCallDelta


class Heard(Feed):
    """A feed that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def publish(self, *events: Any) -> None:
        self.told += [one.data.delta.step_details.tool_calls[0].model_dump(mode="json") for one in events]

    def say(self, kind: str, id: str, index: int, text: str) -> None:
        self.told.append((kind, id, index, text))


def piece(index: int, id: str | None = None, name: str | None = None, arguments: str | None = None) -> ToolCallDelta:
    return ToolCallDelta.model_validate({"index": index, "id": id, "function": {"name": name, "arguments": arguments}})


class TestCalling:
    def test_pieces_add_up_and_are_told_as_they_come(self) -> None:
        feed = Heard()
        calling = Calling("step_1", feed, [])
        assert calling.events() == []  # they are told from now on
        calling.take([piece(0, "call_1", "add", ""), piece(0, arguments='{"a"')])
        calling.take([piece(0, arguments=": 1}"), piece(1, "call_2", "sub", "{}")])
        assert [(one.id, one.name, one.arguments) for one in calling.calls()] == [
            ("call_1", "add", '{"a": 1}'),
            ("call_2", "sub", "{}"),
        ]
        begun = {"type": "function", "function": {"name": "add", "arguments": ""}}
        assert feed.told[0] == {"index": 0, "id": "call_1", **begun}
        assert feed.told[1:3] == [("arguments", "step_1", 0, '{"a"'), ("arguments", "step_1", 0, ": 1}")]
        assert feed.told[4] == ("arguments", "step_1", 1, "{}")

    def test_what_came_before_they_were_told_is_told_at_once(self) -> None:
        feed = Heard()
        calling = Calling("step_1", feed, [])
        calling.take([piece(0, "call_1", "add", ""), piece(0, arguments='{"a"'), piece(1, "call_2", "sub")])
        assert feed.told == []
        feed.publish(*calling.events())
        calling.take([piece(0, arguments=": 1}"), piece(1, arguments="{}")])
        assert [one["id"] for one in feed.told[0::2][:1] + feed.told[2:3]] == ["call_1", "call_2"]
        assert feed.told[1]["function"]["arguments"] == '{"a"'
        assert feed.told[3:] == [("arguments", "step_1", 0, ": 1}"), ("arguments", "step_1", 1, "{}")]

    def test_places_are_counted_in_the_order_in_which_calls_begin(self) -> None:
        calling = Calling("step_1", Heard(), [])
        calling.take([piece(3, "call_a", "add", "1"), piece(1, "call_b", "sub", "2"), piece(3, arguments="3")])
        assert [(one.id, one.arguments) for one in calling.calls()] == [("call_a", "13"), ("call_b", "2")]

    def test_an_id_that_the_run_has_already_or_that_is_missing_is_made_anew(self) -> None:
        calling = Calling("step_1", Heard(), ["call_1"])
        calling.take([piece(0, "call_1", "add", "{}"), piece(1, None, "add", "{}"), piece(2, "call_2", "add", "{}")])
        ids = [one.id for one in calling.calls()]
        assert len(set(ids) | {"call_1"}) == 4
        assert all(one.startswith("call_") for one in ids)
        assert ids[2] == "call_2"
