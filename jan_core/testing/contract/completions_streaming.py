"""The clauses of `completions` about streams, what is refused, and how requests end."""

from __future__ import annotations

from jan_core.errors import ContextLengthExceeded, JanError, ModelNotFound, NotSupported
from jan_core.testing.contract import answers
from jan_core.testing.contract.case import Broken, holds, same, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.completions_case import PATH, CompletionsCase, OfCompletions


class CompletionsStreaming(OfCompletions):
    """Grammar, sums, refusals, closing, several at once."""

    @clause
    async def test_02_a_stream_keeps_the_grammar(self, case: CompletionsCase) -> None:
        """A stream goes on in pieces and ends with one `finish_reason`, with an empty text; all under one head."""
        await answers.streams_keep_the_grammar(case, "cmpl-")

    @clause
    async def test_03_the_pieces_add_up(self, case: CompletionsCase) -> None:
        """The pieces of a stream add up to what the same request is answered in one reply, in several pieces."""
        await answers.pieces_add_up(case)

    @clause
    async def test_04_usage_comes_where_it_is_asked_for(self, case: CompletionsCase) -> None:
        """With `stream_options.include_usage` one last chunk without choices carries `usage`; without it, none does."""
        await answers.usage_where_it_is_asked_for(case)

    @clause
    async def test_05_usage_is_the_same_both_ways(self, case: CompletionsCase) -> None:
        """`usage` adds up, counts at least a token each way, and is the same for a stream as for one reply."""
        await answers.usage_both_ways(case)

    @clause
    async def test_14_what_cannot_be_answered_is_refused(self, case: CompletionsCase) -> None:
        """An unknown model is refused, 404, and a prompt that does not fit, 400, plain and before the first chunk."""
        wrong = (
            ({"model": "no-such-model"}, ModelNotFound, {"code": "model_not_found", "param": "model"}, 404),
            ({"prompt": self.too_long}, ContextLengthExceeded, {"code": "context_length_exceeded"}, 400),
            ({"prompt": ["a", self.too_long]}, ContextLengthExceeded, {"code": "context_length_exceeded"}, 400),
        )
        for fields, kind, expected, status in wrong:
            await case.refused(kind, "completions.create", await case.body("hello", **fields), **expected)
            for more in ({}, {"stream": True}):
                told = await case.send("POST", PATH, await case.fields("hello", **{**fields, **more}))
                same("over HTTP", (told[0], told[1]["error"]["code"]), (status, expected["code"]))
        for id in case.hostile_ids():
            if 0 < len(id) <= 256 and "\ud800" not in id:
                refusal = await case.refused(JanError, "completions.create", await case.body("hello", model=id))
                holds(refusal.status in (400, 404), f"the model {id[:50]!a} is refused with {refusal.status}")
        same("files outside of the root", case.escaped(), [])
        await case.answer("hello", max_tokens=1)

    @clause
    async def test_15_what_it_cannot_do_is_refused(self, case: CompletionsCase) -> None:
        """What an implementation does not do it refuses with `NotSupported`, naming the field; it ignores nothing."""
        for name, asked in (("suffix", {"suffix": "end"}), ("logprobs", {"logprobs": 1}), ("best_of", {"best_of": 2})):
            try:
                made = written(await case.ask("completions.create", await case.body(self.long, **asked)))
            except NotSupported as error:
                same(f"the field that refusing {name} names", error.param, name)
                continue
            except JanError as error:
                raise Broken(f"{name} is refused with {error!r}; what is not done is NotSupported") from error
            if name == "logprobs":
                holds(made["choices"][0]["logprobs"], f"logprobs were asked for, and neither refused nor told: {made}")
            if name == "best_of":
                same("the answers that are given", len(made["choices"]), 1)
                once = await case.answer(self.long)
                wrote = 2 * once["usage"]["completion_tokens"]
                same("all that was written, of which the best is given", made["usage"]["completion_tokens"], wrote)

    @clause
    async def test_16_closing_a_stream_ends_it(self, case: CompletionsCase) -> None:
        """Closing a stream ends it at once: nothing comes after that, nothing goes on, and the next request answers."""
        await answers.closing_ends_it(case)

    @clause
    async def test_17_giving_up_ends_the_answer(self, case: CompletionsCase) -> None:
        """A request that is cancelled ends soon, plain or as a stream, and nothing of it goes on."""
        await answers.giving_up_ends_it(case)

    @clause
    async def test_18_a_client_that_leaves_ends_the_answer(self, case: CompletionsCase) -> None:
        """When a client leaves, in the middle of a stream or waiting for a reply, its request ends."""
        await answers.leaving_ends_it(case)

    @clause
    async def test_19_streams_at_once_are_not_mixed(self, case: CompletionsCase) -> None:
        """Requests at once get each its own answer, as it would alone; nothing of one is in another."""
        words = ["red green blue red green", "cat dog horse cat", "a b c a b c"]
        await answers.answers_are_not_mixed(case, words)

    @clause
    async def test_20_the_call_is_told_its_tokens(self, case: CompletionsCase) -> None:
        """The call is told the tokens that were read and written, as in `usage`, whether or not that is asked for."""
        await answers.the_call_is_told(case)
