from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from jan_runs import fitting
from jan_runs.fitting import PromptTooLong, room, shorter, within
from jan_runs.notes import Notes
from jan_runs.prompt import Prompt

from jan_core.errors import ContextLengthExceeded, NotSupported
from jan_core.schemas.messages import Message, MessageRequest
from jan_core.schemas.runs import Run

pytestmark = pytest.mark.anyio


def prompt(*texts: str) -> Prompt:
    run = Run(id="run_1", created_at=1, thread_id="t", assistant_id="jan", model="m")
    bodies = [MessageRequest(role="user", content=text) for text in texts]
    return Prompt(run, Notes(), [Message.of(one, id="msg_1", thread_id="t", created_at=1) for one in bodies])


class Counting:
    """Chat that counts characters as tokens."""

    def __init__(self, error: Exception | None = None, most: int = 1_000_000) -> None:
        self.counted: list[int] = []
        self.error = error
        self.most = most
        self.chat = self

    async def count_tokens(self, body: Any) -> int:
        if self.error is not None:
            raise self.error
        self.counted.append(len(body.messages))
        tokens = sum(len(one.content) for one in body.messages)
        if tokens > self.most:
            raise ContextLengthExceeded("too long")
        return tokens


def jan(chat: Counting) -> Any:
    return SimpleNamespace(chat=chat)


class TestWithin:
    async def test_what_fits_is_counted_once(self) -> None:
        chat = Counting()
        assert await within(jan(chat), prompt("a" * 10, "b" * 10), 2, 20) == 2
        assert chat.counted == [2]

    @pytest.mark.parametrize("most", [5, 6, 123, 4_999])
    async def test_as_many_of_the_newest_as_fit(self, most: int) -> None:
        chat = Counting()
        assert await within(jan(chat), prompt(*["abcde"] * 1_000), 1_000, most) == most // 5
        assert len(chat.counted) <= 5

    @pytest.mark.parametrize("most", [100, 1_000, 20_000, 50_000, 104_747])
    async def test_few_counts_also_where_messages_are_unlike(self, most: int) -> None:
        chat = Counting()
        texts = ["a" * (1 + number * 7919 % 100) for number in range(2_048)]
        found = await within(jan(chat), prompt(*texts), 2_048, most)
        assert sum(map(len, texts[-found:])) <= most
        assert found == 2_048 or sum(map(len, texts[-found - 1 :])) > most
        assert len(chat.counted) <= 8

    async def test_it_ends_where_every_guess_misleads(self) -> None:
        chat = Counting()
        texts = ["a" * 4_000 if number % 97 == 0 else "a" for number in range(2_048)]
        found = await within(jan(chat), prompt(*texts), 2_048, 40_500)
        assert sum(map(len, texts[-found:])) <= 40_500 < sum(map(len, texts[-found - 1 :]))
        assert len(chat.counted) <= fitting.ROUNDS

    async def test_a_prompt_that_the_engine_will_not_count_is_too_long(self) -> None:
        chat = Counting(most=100)
        assert await within(jan(chat), prompt(*["abcde"] * 1_000), 1_000, 60) == 12

    async def test_the_newest_message_of_a_user_must_fit(self) -> None:
        with pytest.raises(PromptTooLong):
            await within(jan(Counting()), prompt("a", "b" * 10), 2, 9)

    async def test_where_nobody_counts_everything_is_shown(self) -> None:
        chat = Counting(NotSupported("no"))
        assert await within(jan(chat), prompt("a" * 10, "b" * 10), 2, 5) == 2


class TestRoom:
    @pytest.mark.parametrize(
        ("context", "longest", "left"), [(4096, None, 3072), (4096, 4096, 3072), (4096, 96, 4000), (3, None, 3)]
    )
    def test_a_quarter_is_the_answers_or_less(self, context: int, longest: int | None, left: int) -> None:
        assert room(context, longest) == left


class TestShorter:
    def test_half_of_the_characters_go(self) -> None:
        made = prompt(*["abcde"] * 100)
        assert shorter(made, 100) == 50
        assert shorter(made, 50) == 25

    def test_a_long_message_far_back_goes_alone(self) -> None:
        made = prompt("a" * 1_000, *["b"] * 10)
        assert shorter(made, 11) == 10

    def test_the_newest_of_a_user_stays(self) -> None:
        made = prompt("a", "b" * 1_000)
        assert shorter(made, 2) == 1
        assert shorter(made, 1) == 1

    def test_it_ends(self) -> None:
        made = prompt(*["abcde"] * 2_048)
        count, rounds = 2_048, 0
        while (fewer := shorter(made, count)) < count:
            count, rounds = fewer, rounds + 1
        assert (count, rounds) == (1, 11)
