"""The clauses of `chat` about streams: what they are made of, and how they end."""

from __future__ import annotations

from jan_core.testing.contract import answers
from jan_core.testing.contract.chat_case import ChatCase, OfChat
from jan_core.testing.contract.clauses import clause


class ChatStreaming(OfChat):
    """Grammar, sums, closing, several at once."""

    @clause
    async def test_02_a_stream_keeps_the_grammar(self, case: ChatCase) -> None:
        """A stream begins with the role, goes on in pieces, ends with one `finish_reason`, all under one head."""
        await answers.streams_keep_the_grammar(case, "chatcmpl-")

    @clause
    async def test_03_the_pieces_add_up(self, case: ChatCase) -> None:
        """The pieces of a stream add up to what the same request is answered in one reply, in several pieces."""
        await answers.pieces_add_up(case)

    @clause
    async def test_04_usage_comes_where_it_is_asked_for(self, case: ChatCase) -> None:
        """With `stream_options.include_usage` one last chunk without choices carries `usage`; without it, none does."""
        await answers.usage_where_it_is_asked_for(case)

    @clause
    async def test_05_usage_is_the_same_both_ways(self, case: ChatCase) -> None:
        """`usage` adds up, counts at least a token each way, and is the same for a stream as for one reply."""
        await answers.usage_both_ways(case)

    @clause
    async def test_21_closing_a_stream_ends_it(self, case: ChatCase) -> None:
        """Closing a stream ends it at once: nothing comes after that, nothing goes on, and the next request answers."""
        await answers.closing_ends_it(case)

    @clause
    async def test_22_giving_up_ends_the_answer(self, case: ChatCase) -> None:
        """A request that is cancelled ends soon, plain or as a stream, and nothing of it goes on."""
        await answers.giving_up_ends_it(case)

    @clause
    async def test_23_a_client_that_leaves_ends_the_answer(self, case: ChatCase) -> None:
        """When a client leaves, in the middle of a stream or waiting for a reply, its request ends."""
        await answers.leaving_ends_it(case)

    @clause
    async def test_24_streams_at_once_are_not_mixed(self, case: ChatCase) -> None:
        """Requests at once get each its own answer, as it would alone; nothing of one is in another."""
        words = ("red green blue", "cat dog horse", "a b c")
        await answers.answers_are_not_mixed(case, [f"Say this again: {one}" for one in words])

    @clause
    async def test_25_the_call_is_told_its_tokens(self, case: ChatCase) -> None:
        """The call is told the tokens that were read and written, as in `usage`, whether or not that is asked for."""
        await answers.the_call_is_told(case)

    @clause
    async def test_32_others_go_on_meanwhile(self, case: ChatCase) -> None:
        """While an answer is written, plain or as a stream, the event loop goes on: nobody else is held up by it."""
        await answers.the_loop_goes_on(case)
