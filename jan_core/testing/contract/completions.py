"""The contract of `completions`. The prose is in `docs/contract/completions.md`."""

from __future__ import annotations

import time

from jan_core.errors import InvalidRequest, ModelNotFound
from jan_core.schemas.completions import DetokenizeRequest, TokenizeRequest
from jan_core.testing.contract import answers
from jan_core.testing.contract.answers_case import counts
from jan_core.testing.contract.case import holds, same, written
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.completions_case import CompletionsCase
from jan_core.testing.contract.completions_streaming import CompletionsStreaming
from jan_core.testing.contract.grammar import counts_are_right, stream_keeps_grammar
from jan_core.testing.contract.hostile import TEXTS, UNICODE


class CompletionsContract(CompletionsStreaming):
    """What every implementation of `completions` keeps."""

    @clause
    async def test_01_an_answer_is_complete(self, case: CompletionsCase) -> None:
        """The reply is the whole answer: an id that begins with `cmpl-`, the model, the time, one choice, usage."""
        begun = int(time.time())
        for _ in range(2):
            made = await case.answer(self.long)
            holds(made["id"].startswith("cmpl-"), f"the id {made['id']!r} does not begin with cmpl-")
            holds(begun <= made["created"] <= time.time(), f"it was created now, and not at {made['created']}")
            same("object and model", (made["object"], made["model"]), ("text_completion", await case.model()))
            (choice,) = made["choices"]
            same("index and probabilities", (choice["index"], choice["logprobs"]), (0, None))
            holds(choice["text"], f"the answer has a text; {choice} has none")
            holds(choice["finish_reason"] in ("stop", "length"), f"it ends with {choice['finish_reason']!r}")
            counts_are_right(made.get("usage"))

    @clause
    async def test_06_no_id_comes_twice(self, case: CompletionsCase) -> None:
        """Every answer has an id of its own, plain or as a stream, however quickly they are asked for."""
        await answers.no_id_comes_twice(case)

    @clause
    async def test_07_choices_of_several_prompts(self, case: CompletionsCase) -> None:
        """Prompt number p has the choices from p × `n`; each prompt counts once, and all that is written counts."""
        prompts = [self.long, f"{self.long} five six"]
        alone = [await case.answer(one, max_tokens=4) for one in prompts]
        read = sum(one["usage"]["prompt_tokens"] for one in alone)
        wrote = sum(one["usage"]["completion_tokens"] for one in alone)
        for n in (1, 2):
            for _ in range(2):
                made = await case.answer(prompts, n=n, max_tokens=4)
                same("the indexes", [one["index"] for one in made["choices"]], list(range(2 * n)))
                wanted = [one["choices"][0]["text"] for one in alone for _ in range(n)]
                same("the texts", [one["text"] for one in made["choices"]], wanted)
                told = (made["usage"]["prompt_tokens"], made["usage"]["completion_tokens"])
                same("the tokens read and written", told, (read, n * wrote))
                chunks = await case.chunks(prompts, usage=True, n=n, max_tokens=4)
                stream_keeps_grammar(chunks, choices=2 * n, usage=True, plain=made)
                same("usage, in the stream", counts(chunks[-1]["usage"]), counts(made["usage"]))

    @clause
    async def test_08_an_answer_keeps_its_limit(self, case: CompletionsCase) -> None:
        """No answer has more tokens than `max_tokens`; one that ends there ends with `length`."""
        await answers.limits_are_kept(case)

    @clause
    async def test_09_a_stop_string_ends_the_answer(self, case: CompletionsCase) -> None:
        """The answer ends right before the first `stop` string that comes, with `stop`; nothing of it is told."""
        whole = await case.text(self.long)
        for at, length in ((len(whole) // 2, 1), (len(whole) // 2, 4), (len(whole) // 3, 9)):
            stop = whole[at : at + length]
            wanted = (whole[: whole.find(stop)], "stop")
            for asked in (stop, ["\u2063none", stop]):
                (choice,) = (await case.answer(self.long, stop=asked))["choices"]
                same(f"up to {stop!r}", (choice["text"], choice["finish_reason"]), wanted)
                told = await case.told(self.long, stop=asked)
                same(f"up to {stop!r}, as a stream", (told.text, told.finish_reason), wanted)

    @clause
    async def test_10_the_prompt_is_said_again(self, case: CompletionsCase) -> None:
        """With `echo` each answer begins with its prompt; the tokens of it count as read only."""
        prompts = [self.long, f"{UNICODE} two"]
        plain = await case.answer(prompts)
        wanted = [prompt + one["text"] for prompt, one in zip(prompts, plain["choices"], strict=True)]
        for _ in range(2):
            made = await case.answer(prompts, echo=True)
            same("the texts", [one["text"] for one in made["choices"]], wanted)
            same("usage", counts(made["usage"]), counts(plain["usage"]))
            stream_keeps_grammar(await case.chunks(prompts, echo=True), choices=2, plain=made)

    @clause
    async def test_11_a_prompt_may_be_tokens(self, case: CompletionsCase) -> None:
        """A prompt may be given as its tokens, one or several."""
        for _ in range(2):
            for prompt, wanted in (([5, 6, 7], 1), ([[5, 6], [7]], 2)):
                made = await case.answer(prompt)
                same("the choices", len(made["choices"]), wanted)
                counts_are_right(made.get("usage"))

    @clause
    async def test_12_every_text_is_gone_on_with(self, case: CompletionsCase) -> None:
        """Every text may be a prompt, also none; characters of answers come whole."""
        for text in (*(one for one in TEXTS if len(one) < 100), ""):
            counts_are_right((await case.answer(f"Text: {text}" if text else "", max_tokens=1)).get("usage"))
        for _ in range(2):
            whole = await case.answer(UNICODE, max_tokens=24)
            (told,) = stream_keeps_grammar(await case.chunks(UNICODE, max_tokens=24), choices=1, plain=whole)
            if self.whole_characters:
                holds("\ufffd\ufffd" not in told.text, f"the answer has broken characters: {told.text!r}")

    @clause
    async def test_13_the_request_stays_the_callers(self, case: CompletionsCase) -> None:
        """A request is not changed by being answered, and the same object may be asked again."""
        await answers.requests_stay_the_callers(case)

    @clause(optional="count_tokens")
    async def test_21_tokens_are_counted(self, case: CompletionsCase) -> None:
        """`count_tokens` counts all prompts as `usage` does, and writes nothing."""
        for said in (self.long, [self.long, "one"]):
            made, context = await case.counted("completions.count_tokens", await case.body(said))
            same("tokens written while counting", context.completion_tokens or 0, 0)
            same(f"the tokens of {said!r}", made, (await case.answer(said))["usage"]["prompt_tokens"])

    @clause(optional="tokenize")
    async def test_22_tokens_are_shown(self, case: CompletionsCase) -> None:
        """`tokenize` cuts a text into tokens whose bytes are the text's; an empty text has none."""
        for special in (False, True):
            body = TokenizeRequest(model=await case.model(), text=UNICODE, special=special)
            tokens = [written(one) for one in await case.ask("completions.tokenize", body)]
            same("the bytes", b"".join(bytes(one["bytes"]) for one in tokens).decode(errors="replace"), UNICODE)
            texts = [bytes(one["bytes"]).decode("utf-8", "replace") for one in tokens]
            same("the texts of the tokens", [one["text"] for one in tokens], texts)
        same("none", await case.ask("completions.tokenize", TokenizeRequest(model=await case.model(), text="")), [])
        unknown = TokenizeRequest(model="no-such-model", text="a")
        await case.refused(ModelNotFound, "completions.tokenize", unknown, code="model_not_found")

    @clause(optional="detokenize")
    async def test_23_tokens_are_read_back(self, case: CompletionsCase) -> None:
        """`detokenize` gives the text that was cut into these tokens; a number that is none is refused."""
        model = await case.model()
        if case.tested.supports("tokenize"):
            for text in (UNICODE, "a", "one two"):
                tokens = await case.ask("completions.tokenize", TokenizeRequest(model=model, text=text))
                body = DetokenizeRequest(model=model, tokens=[one.id for one in tokens])
                same("the text", await case.ask("completions.detokenize", body), text)
        same("none", await case.ask("completions.detokenize", DetokenizeRequest(model=model, tokens=[])), "")
        wrong = DetokenizeRequest(model=model, tokens=[0, 2**31 - 1])
        await case.refused(InvalidRequest, "completions.detokenize", wrong, status=400)
        unknown = DetokenizeRequest(model="no-such-model", tokens=[1])
        await case.refused(ModelNotFound, "completions.detokenize", unknown, code="model_not_found")
