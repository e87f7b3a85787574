"""The clauses of `chat` about streams: what they are made of, and how they end."""

from __future__ import annotations

import asyncio

from jan_core.testing.contract.case import holds, same, settled, written
from jan_core.testing.contract.chat_case import PATH, ChatCase, OfChat, counts
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.grammar import stream_keeps_grammar


class ChatStreaming(OfChat):
    """Grammar, sums, closing, several at once."""

    @clause
    async def test_02_a_stream_keeps_the_grammar(self, case: ChatCase) -> None:
        """A stream begins with the role, goes on in pieces, ends with one `finish_reason`, all under one head."""
        for usage in (False, True, False, True):
            found = await case.chunks(self.long, usage=usage)
            stream_keeps_grammar(found, choices=1, usage=usage)
            same("the model", found[0]["model"], await case.model())
            holds(found[0]["id"].startswith("chatcmpl-"), f"the id {found[0]['id']!r} does not begin with chatcmpl-")

    @clause
    async def test_03_the_pieces_add_up(self, case: ChatCase) -> None:
        """The pieces of a stream add up to what the same request is answered in one reply, in several pieces."""
        plain = await case.sent(self.long)
        directly = written(await case.ask("chat.create", await case.body(self.long)))
        same("the plain answers", directly["choices"], plain["choices"])
        for _ in range(2):
            (told,) = stream_keeps_grammar(await case.chunks(self.long), choices=1, plain=plain)
            holds(len([piece for piece in told.pieces if piece]) > 1, f"all of {told.text!r} came in one piece")

    @clause
    async def test_04_usage_comes_where_it_is_asked_for(self, case: ChatCase) -> None:
        """With `stream_options.include_usage` one last chunk without choices carries `usage`; without it, none does."""
        for options, usage in (({"include_usage": True}, True), ({"include_usage": False}, False), (None, False)):
            for _ in range(2):
                found = await case.chunks(self.long, stream_options=options)
                told = [number for number, chunk in enumerate(found) if chunk.get("usage")]
                same(f"chunks with usage, for {options}", told, [len(found) - 1] if usage else [])
                empty = [number for number, chunk in enumerate(found) if not chunk["choices"]]
                same(f"chunks without choices, for {options}", empty, told)

    @clause
    async def test_05_usage_is_the_same_both_ways(self, case: ChatCase) -> None:
        """`usage` adds up, counts at least a token each way, and is the same for a stream as for one reply."""
        for limit in (1, 6):
            plain = counts((await case.answer(self.long, max_tokens=limit)).get("usage"))
            holds(plain["prompt_tokens"] > 0, "a prompt has tokens")
            same("the tokens written", plain["completion_tokens"], limit)
            same("the total", plain["total_tokens"], plain["prompt_tokens"] + limit)
            for _ in range(2):
                found = await case.chunks(self.long, usage=True, max_tokens=limit)
                same("usage, in the stream", counts(found[-1].get("usage")), plain)

    @clause
    async def test_21_closing_a_stream_ends_it(self, case: ChatCase) -> None:
        """Closing a stream ends it at once: nothing comes after that, nothing goes on, and the next request answers."""
        whole = await case.text(self.long)
        before = asyncio.all_tasks()
        body = await case.body(self.endless, stream=True, max_tokens=200)
        for after in (0, 1, 3):
            await case.left(case.tested.create_stream(body), after)  # type: ignore[attr-defined]
            await case.quiet(before)
        same("the next answer", await case.text(self.long), whole)

    @clause
    async def test_22_giving_up_ends_the_answer(self, case: ChatCase) -> None:
        """A request that is cancelled ends soon, plain or as a stream, and nothing of it goes on."""
        whole = await case.text(self.long)
        before = asyncio.all_tasks()
        for after in (0, 0.02, 0.2):
            await case.given_up(case.ask("chat.create", await case.body(self.endless, max_tokens=200)), after)
            body = await case.body(self.endless, stream=True, max_tokens=200)
            await case.given_up(case.streamed("chat.create_stream", body), after)
            await case.quiet(before)
        same("the next answer", await case.text(self.long), whole)

    @clause
    async def test_23_a_client_that_leaves_ends_the_answer(self, case: ChatCase) -> None:
        """When a client leaves, in the middle of a stream or waiting for a reply, its request ends."""
        whole = await case.text(self.long)
        before = asyncio.all_tasks()
        async with case.left_over_http(self.endless, max_tokens=200):
            pass
        body = await case.fields(self.endless, max_tokens=200)
        await case.given_up(case.http.request("POST", PATH, json=body), 0.2)
        await case.quiet(before)
        same("the next answer", await case.text(self.long), whole)

    @clause
    async def test_24_streams_at_once_are_not_mixed(self, case: ChatCase) -> None:
        """Requests at once get each its own answer, as it would alone; nothing of one is in another."""
        asked = [self.long, "Say this again: red green blue", "Say this again: cat dog horse", "Say this again: a b c"]
        alone = [await case.text(said, max_tokens=8) for said in asked]
        streams = await settled([case.chunks(said, max_tokens=8) for said in asked])
        told = [stream_keeps_grammar(found, choices=1)[0].text for found in streams]
        same("streams at once, against those answers alone", told, alone)
        same("different ids", len({found[0]["id"] for found in streams}), len(asked))
        plain = await settled([case.text(said, max_tokens=8) for said in asked])
        same("replies at once, against those answers alone", plain, alone)

    @clause
    async def test_25_the_call_is_told_its_tokens(self, case: ChatCase) -> None:
        """The call is told the tokens that were read and written, as in `usage`, whether or not that is asked for."""
        wanted = (await case.answer(self.long, max_tokens=6))["usage"]
        counted = (wanted["prompt_tokens"], wanted["completion_tokens"])
        made, context = await case.counted("chat.create", await case.body(self.long, max_tokens=6))
        same("usage", counts(written(made)["usage"]), counts(wanted))
        same("the call's tokens", (context.prompt_tokens, context.completion_tokens), counted)
        _, context = await case.streamed("chat.create_stream", await case.body(self.long, max_tokens=6, stream=True))
        same("the call's tokens, of a stream", (context.prompt_tokens, context.completion_tokens), counted)
