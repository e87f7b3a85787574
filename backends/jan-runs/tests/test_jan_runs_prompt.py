from __future__ import annotations

from typing import Any

import pytest
from jan_runs import prompt
from jan_runs.notes import NotedCall, Notes, Round
from jan_runs.prompt import Prompt, newest_messages

from jan_core.errors import InvalidRequest
from jan_core.schemas.messages import Message, MessageRequest
from jan_core.schemas.runs import Run

from .conftest import FUNCTION, Talk

pytestmark = pytest.mark.anyio


def run(**more: Any) -> Run:
    given = {"id": "run_1", "created_at": 1, "thread_id": "t", "assistant_id": "jan", "model": "m", **more}
    return Run.model_validate(given)


def message(content: Any, role: str = "user", **more: Any) -> Message:
    body = MessageRequest.model_validate({"role": role, "content": content})
    return Message.of(body, id="msg_1", thread_id="t", created_at=1).model_copy(update=more)


def asked(run: Run, *messages: Message, notes: Notes | None = None, limit: int | None = None) -> dict[str, Any]:
    made = Prompt(run, notes or Notes(), messages)
    found: dict[str, Any] = made.request(len(made), limit).model_dump(exclude_none=True, by_alias=True)
    return found


class TestMessages:
    async def ids(self, talk: Talk, notes: Notes | None = None, **more: Any) -> list[str]:
        found = await newest_messages(talk.jan, run(thread_id=talk.thread, **more), notes or Notes())
        return [one.content[0].text.value for one in found]  # type: ignore[union-attr]

    async def test_all_of_a_thread_oldest_first(self, talk: Talk) -> None:
        async with talk:
            await talk.say(*(f"{number}" for number in range(250)))
            assert await self.ids(talk) == [f"{number}" for number in range(250)]

    async def test_only_the_newest_are_read_where_the_run_says_how_many(self, talk: Talk) -> None:
        async with talk:
            await talk.say(*(f"{number}" for number in range(250)))
            strategy = {"type": "last_messages", "last_messages": 3}
            seen: list[Any] = []
            plain = talk.jan.messages.list

            async def listed(thread_id: str, query: Any) -> Any:
                seen.append(query)
                return await plain(thread_id, query)

            talk.jan.messages.list = listed
            assert await self.ids(talk, truncation_strategy=strategy) == ["247", "248", "249"]
            assert [one.limit for one in seen] == [3]

    async def test_no_more_are_read_than_could_ever_fit(self, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prompt, "CHARACTERS", 10)
        async with talk:
            await talk.say("far too long ago", "12345", "67890")
            assert await self.ids(talk) == ["12345", "67890"]

    @pytest.mark.parametrize("instructions", ["", "Be kind."])
    async def test_no_more_than_a_request_can_have(
        self, talk: Talk, monkeypatch: pytest.MonkeyPatch, instructions: str
    ) -> None:
        monkeypatch.setattr(prompt, "MOST", 10)
        calls = [NotedCall(id="c", name="add", arguments="{}", output="3")] * 3
        async with talk:
            await talk.say(*(f"{number}" for number in range(12)))
            found = await self.ids(talk, Notes(rounds=[Round(calls=calls)]), instructions=instructions)
            assert found == [f"{number}" for number in range(7 if instructions else 6, 12)]
            strategy = {"type": "last_messages", "last_messages": 10}
            found = await self.ids(talk, instructions=instructions, truncation_strategy=strategy)
            assert len(found) == (9 if instructions else 10)
            with pytest.raises(InvalidRequest, match="Begin another run") as refused:
                await self.ids(talk, Notes(rounds=[Round(calls=calls * 3)]))
            assert "are 10 messages" in refused.value.message

    async def test_what_the_run_said_itself_is_left_out(self, talk: Talk) -> None:
        async with talk:
            await talk.say("a", "b")
            own = (await talk.messages())[1].id
            notes = Notes(rounds=[Round(message=own, calls=[])])
            assert await self.ids(talk, notes) == ["a"]

    async def test_an_answer_that_broke_off_before_it_said_anything_is_left_out(self, talk: Talk) -> None:
        async with talk:
            await talk.say("a")
            await talk.jan.messages.put(
                Message(
                    id="msg_x", created_at=1, thread_id=talk.thread, status="incomplete", role="assistant", content=[]
                )
            )
            assert await self.ids(talk) == ["a"]


class TestTurns:
    def test_after_an_answer_another_one_begins(self) -> None:
        said, answer, turn = message("hello"), message("Hi.", role="assistant"), {"role": "user", "content": ""}
        for messages in ([said, answer], [said, answer, answer], [answer]):
            told = asked(run(), *messages)["messages"]
            assert told[-1] == turn
            assert len(told) == len(messages) + 1
        assert asked(run(), said, answer, said)["messages"][-1] == {"role": "user", "content": "hello"}

    def test_it_has_its_place_in_a_full_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prompt, "MOST", 3)
        told = asked(run(), message("a"), message("b"), message("c", role="assistant"))["messages"]
        assert [one["content"] for one in told] == ["b", "c", ""]


class TestParts:
    def test_a_text_is_a_text_and_several_are_parts(self) -> None:
        assert asked(run(), message("hello"))["messages"] == [{"role": "user", "content": "hello"}]
        texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        assert asked(run(), message(texts))["messages"] == [{"role": "user", "content": texts}]

    def test_an_image_by_address_is_shown(self) -> None:
        parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}]
        assert asked(run(), message(parts))["messages"][0]["content"] == parts

    def test_the_instructions_come_first(self) -> None:
        found = asked(run(instructions="Be kind."), message("hello"))["messages"]
        assert found[0] == {"role": "system", "content": "Be kind."}

    @pytest.mark.parametrize(
        ("one", "said"),
        [
            (message([{"type": "image_file", "image_file": {"file_id": "f"}}]), "image_file"),
            (message([{"type": "image_url", "image_url": {"url": "x"}}], role="assistant"), "an image"),
            (message("a", attachments=[{"file_id": "f"}]), "attachments"),
        ],
    )
    def test_what_cannot_be_shown_is_named(self, one: Message, said: str) -> None:
        with pytest.raises(InvalidRequest, match=said) as refused:
            asked(run(), one)
        assert "msg_1" in refused.value.message

    def test_where_nobody_has_said_anything_the_model_begins(self) -> None:
        empty = {"role": "user", "content": ""}
        assert asked(run())["messages"] == [empty]
        assert asked(run(instructions="Greet me."))["messages"] == [
            {"role": "system", "content": "Greet me."},
            empty,
        ]

    def test_a_refusal_is_shown_as_one(self) -> None:
        from jan_core.schemas.messages import RefusalPart

        refused = message("x", role="assistant").model_copy(update={"content": [RefusalPart(refusal="I will not.")]})
        found = asked(run(), message("a"), refused, message("b"))["messages"]
        assert found[1] == {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]}

    def test_what_is_surely_within_is_so_however_it_is_counted(self) -> None:
        made = Prompt(run(instructions="Be kind."), Notes(), [message("a" * 100), message("é" * 100)])
        assert made.surely_within(2_000)
        assert not made.surely_within(300)
        assert not Prompt(run(), Notes(), [message("a" * 5_000)]).surely_within(4_000)
        assert not Prompt(run(tools=[FUNCTION] * 50), Notes(), [message("a")]).surely_within(2_000)


class TestSettings:
    def test_those_of_the_run_and_the_parameters_of_the_layers(self) -> None:
        given = run(temperature=0.5, top_p=0.9, reasoning_effort="low", response_format={"type": "json_object"})
        found = asked(given, message("a"), notes=Notes(parameters={"stop": ["x"], "seed": 3}))
        assert {name: found[name] for name in ("temperature", "top_p", "reasoning_effort", "stop", "seed")} == {
            "temperature": 0.5,
            "top_p": 0.9,
            "reasoning_effort": "low",
            "stop": ["x"],
            "seed": 3,
        }
        assert found["response_format"] == {"type": "json_object"}
        assert (found["stream"], found["stream_options"]["include_usage"]) == (True, True)

    def test_what_nothing_sets_is_left_out(self) -> None:
        assert asked(run(), message("a")).keys() == {"model", "messages", "stream", "stream_options"}

    def test_a_schema_keeps_its_name(self) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
        assert asked(run(response_format=form), message("a"))["response_format"] == form

    @pytest.mark.parametrize(
        ("choice", "told"),
        [
            ("auto", None),
            ("none", "none"),
            ("required", "required"),
            ({"type": "function", "function": {"name": "add"}}, {"type": "function", "function": {"name": "add"}}),
        ],
    )
    def test_tools_and_the_choice_among_them(self, choice: Any, told: Any) -> None:
        found = asked(run(tools=[FUNCTION], tool_choice=choice, parallel_tool_calls=False), message("a"))
        assert found["tools"] == [FUNCTION]
        assert found.get("tool_choice") == told
        assert found["parallel_tool_calls"] is False

    def test_what_was_forced_is_not_forced_again(self) -> None:
        notes = Notes(rounds=[Round(text="so", calls=[NotedCall(id="c", name="add", arguments="{}", output="3")])])
        found = asked(run(tools=[FUNCTION], tool_choice="required"), message("a"), notes=notes)
        assert "tool_choice" not in found
        assert found["messages"][1:] == [
            {
                "role": "assistant",
                "content": "so",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "3"},
        ]
        assert asked(run(tools=[FUNCTION], tool_choice="none"), message("a"), notes=notes)["tool_choice"] == "none"

    @pytest.mark.parametrize("tool", ["file_search", "code_interpreter"])
    def test_tools_that_need_files_are_refused(self, tool: str) -> None:
        with pytest.raises(InvalidRequest, match=tool):
            asked(run(tools=[{"type": tool}]), message("a"))

    @pytest.mark.parametrize("parameters", [{}, {"max_tokens": 100}, {"max_completion_tokens": 500}])
    def test_a_limit_of_the_run_goes_before_weaker_ones(self, parameters: dict[str, Any]) -> None:
        found = asked(run(), message("a"), notes=Notes(parameters=parameters), limit=300)
        assert found["max_completion_tokens"] == 300
        assert "max_tokens" not in found

    def test_a_parameter_that_no_request_can_have_is_named(self) -> None:
        with pytest.raises(InvalidRequest, match='seed: expected an integer, found "three"') as refused:
            asked(run(), message("a"), notes=Notes(parameters={"seed": "three"}))
        assert (refused.value.param, refused.value.code) == ("seed", "invalid_type")
        assert "the thread, the assistant or the model" in refused.value.message


class TestTheNewest:
    def test_those_from_the_newest_of_a_user_on_are_always_shown(self) -> None:
        said = [message("a"), message("b"), message("c", role="assistant"), message("d", role="assistant")]
        made = Prompt(run(), Notes(), said)
        assert (len(made), made.least) == (4, 3)
        found = made.request(3, None).messages
        assert [one.content for one in found] == ["b", "c", "d", ""]

    def test_where_no_user_spoke_it_is_the_newest(self) -> None:
        made = Prompt(run(), Notes(), [message("a", role="assistant"), message("b", role="assistant")])
        assert made.least == 1
