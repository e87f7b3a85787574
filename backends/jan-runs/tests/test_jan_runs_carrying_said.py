"""What a model says besides plain text: nothing, refusals, what a filter stops; and in threads of unusual length."""

from __future__ import annotations

from typing import Any

import pytest

from jan_core.ids import new_id, now
from jan_core.schemas.messages import Message, MessageRequest
from jan_core.schemas.runs import ThreadRunRequest
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, Talk, scripted

pytestmark = pytest.mark.anyio


class TestRefusals:
    async def test_a_refusal_is_a_part_of_its_own_and_its_pieces_are_told(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"refuse": ["I will ", "not."]})
            events = await talk.events()
            (said,) = (await talk.messages())[1:]
        told = story(events)
        assert told.run["status"] == "completed"
        (part,) = said.content
        assert part.type == "refusal"
        assert part.refusal == "I will not."
        deltas = [one.data.delta.content[0] for one in events if one.event == "thread.message.delta"]
        assert [(one.type, one.index, one.refusal) for one in deltas] == [
            ("refusal", 0, "I will "),
            ("refusal", 0, "not."),
        ]
        assert said.model_dump(mode="json") == next(iter(told.messages.values()))

    async def test_it_may_follow_a_text(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["Well. "], "refuse": ["No."]})
            told = story(await talk.events())
            (said,) = (await talk.messages())[1:]
        assert [part.type for part in said.content] == ["text", "refusal"]
        assert said.model_dump(mode="json") == next(iter(told.messages.values()))

    async def test_the_next_run_is_shown_it(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"refuse": ["No."]})
            await talk.end(await talk.run())
            await talk.jan.messages.create(talk.thread, MessageRequest(role="user", content="Please."))
            assert (await talk.end(await talk.run())).status == "completed"
            shown = talk.engine.asked[-1].messages
        assert [one.role for one in shown] == ["user", "assistant", "user"]
        assert [part.refusal for part in shown[1].content] == ["No."]


class TestFilters:
    async def ended(self, talk: Talk, **script: Any) -> tuple[Any, list[Message]]:
        async with talk:
            await talk.say({**script, "finish": "content_filter"})
            told = story(await talk.events(tools=[FUNCTION]))
            return told, (await talk.messages())[1:]

    async def test_what_was_said_before_it_is_kept_and_says_why_it_ends(self, talk: Talk) -> None:
        told, (said,) = await self.ended(talk, say=["a", "b"])
        assert (told.run["status"], told.run["last_error"]["code"]) == ("failed", "server_error")
        assert "filter" in told.run["last_error"]["message"]
        assert said.status == "incomplete"
        assert said.incomplete_details is not None
        assert said.incomplete_details.reason == "content_filter"
        assert [one["status"] for one in told.steps.values()] == ["failed"]
        assert told.run["usage"]["completion_tokens"] == 2

    async def test_where_it_let_nothing_through_the_message_is_empty(self, talk: Talk) -> None:
        told, (said,) = await self.ended(talk, say=[])
        assert told.run["status"] == "failed"
        assert (said.status, "".join(part.text.value for part in said.content)) == ("incomplete", "")


class TestThreads:
    async def test_where_nobody_has_said_anything_the_model_begins(self, talk: Talk) -> None:
        async with talk:
            body = ThreadRunRequest.model_validate({"assistant_id": "jan", "instructions": scripted(say=["Hello!"])})
            run = await talk.jan.runs.create_thread(body)
            talk.thread = run.thread_id
            run = await talk.end(run)
            shown = talk.engine.asked[0].messages
        assert (run.status, run.last_error) == ("completed", None)
        assert [(one.role, one.content) for one in shown[1:]] == [("user", "")]

    @pytest.mark.parametrize("more", [{}, {"truncation_strategy": {"type": "last_messages", "last_messages": 2048}}])
    async def test_of_thousands_of_messages_as_many_are_shown_as_a_request_has(
        self, talk: Talk, more: dict[str, Any]
    ) -> None:
        async with talk:
            thread = await talk.say("first")
            for number in range(2_048):
                body = MessageRequest(role="user", content=f"m{number}")
                message = Message.of(body, id=new_id("msg_"), thread_id=thread, created_at=now())
                await talk.jan.messages.put(message)
            run = await talk.end(await talk.run(instructions="Be short.", **more))
            (asked,) = talk.engine.asked
        assert (run.status, run.last_error) == ("completed", None)
        assert [len(asked.messages), asked.messages[0].content, asked.messages[1].content] == [2_048, "Be short.", "m1"]
