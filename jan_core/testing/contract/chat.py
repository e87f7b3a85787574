"""The contract of `chat`. The prose is in `docs/contract/chat.md`."""

from __future__ import annotations

import time
from typing import Any

from jan_core.errors import JanError
from jan_core.schemas.chat import ChatCompletionsQuery, ChatCompletionUpdate
from jan_core.testing.contract import answers
from jan_core.testing.contract.answers_case import counts
from jan_core.testing.contract.case import holds, same, written
from jan_core.testing.contract.chat_case import PATH, ChatCase
from jan_core.testing.contract.chat_refusing import ChatRefusing
from jan_core.testing.contract.chat_streaming import ChatStreaming
from jan_core.testing.contract.clauses import clause
from jan_core.testing.contract.grammar import counts_are_right, stream_keeps_grammar
from jan_core.testing.contract.hostile import TEXTS, UNICODE


class ChatContract(ChatStreaming, ChatRefusing):
    """What every implementation of `chat` keeps."""

    @clause
    async def test_01_an_answer_is_complete(self, case: ChatCase) -> None:
        """The reply is the whole answer: an id that begins with `chatcmpl-`, the model, the time, one choice, usage."""
        begun = int(time.time())
        for made in (written(await case.ask("chat.create", await case.body(self.long))), await case.sent(self.long)):
            holds(made["id"].startswith("chatcmpl-"), f"the id {made['id']!r} does not begin with chatcmpl-")
            holds(begun <= made["created"] <= time.time(), f"it was created now, and not at {made['created']}")
            same("object and model", (made["object"], made["model"]), ("chat.completion", await case.model()))
            same("the choices", [choice["index"] for choice in made["choices"]], [0])
            (choice,) = made["choices"]
            message = choice["message"]
            same("role and refusal", (message["role"], message["refusal"]), ("assistant", None))
            holds(message["content"], f"the answer has a text; {choice} has none")
            same("probabilities that nobody asked for", choice["logprobs"], None)
            holds(choice["finish_reason"] in ("stop", "length"), f"it ends with {choice['finish_reason']!r}")
            counts_are_right(made.get("usage"))

    @clause
    async def test_06_no_id_comes_twice(self, case: ChatCase) -> None:
        """Every answer has an id of its own, plain or as a stream, however quickly they are asked for."""
        await answers.no_id_comes_twice(case)

    @clause
    async def test_07_as_many_choices_as_asked_for(self, case: ChatCase) -> None:
        """`n` gives that many choices, numbered from 0, each whole; the prompt counts once, the answers add up."""
        one = await case.answer(self.long, max_tokens=4)
        for made in (await case.answer(self.long, n=3, max_tokens=4), await case.sent(self.long, n=3, max_tokens=4)):
            same("the indexes", [choice["index"] for choice in made["choices"]], [0, 1, 2])
            holds(all(choice["message"]["content"] for choice in made["choices"]), "each choice has a text")
            same("the tokens read", made["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"])
            if all(choice["finish_reason"] == "length" for choice in made["choices"]):
                same("the tokens written", made["usage"]["completion_tokens"], 12)
            counts_are_right(made["usage"])
        for _ in range(2):
            chunks = await case.chunks(self.long, usage=True, n=3, max_tokens=4)
            stream_keeps_grammar(chunks, choices=3, usage=True)
            same("usage, in the stream", counts(chunks[-1]["usage"]), counts(made["usage"]))

    @clause
    async def test_08_an_answer_keeps_its_limit(self, case: ChatCase) -> None:
        """No answer has more tokens than `max_completion_tokens`; one that ends there ends with `length`."""
        for limit, made in (await answers.limits_are_kept(case)).items():
            newer = await case.answer(self.long, max_tokens=None, max_completion_tokens=limit)
            same("the same with `max_completion_tokens`", newer["choices"], made["choices"])

    @clause
    async def test_09_a_stop_string_ends_the_answer(self, case: ChatCase) -> None:
        """The answer ends right before a `stop` string, with `stop`; nothing of the string is told, piece by piece."""
        whole = await case.text(self.long)
        for at, length in ((len(whole) // 2, 1), (len(whole) // 2, 4), (len(whole) // 3, 9)):
            stop = whole[at : at + length]
            wanted = (whole[: whole.find(stop)], "stop")
            for asked in (stop, [stop]):
                (choice,) = (await case.answer(self.long, stop=asked))["choices"]
                same(f"up to {stop!r}", (choice["message"]["content"] or "", choice["finish_reason"]), wanted)
            told = await case.told(self.long, stop=stop)
            same(f"up to {stop!r}, as a stream", (told.text, told.finish_reason), wanted)

    @clause
    async def test_10_the_first_of_several_stop_strings(self, case: ChatCase) -> None:
        """Of several `stop` strings the one that comes first in the answer ends it, whatever their order."""
        text = await case.text(self.long)
        first, second = text[len(text) // 3 :][:3], text[2 * len(text) // 3 :][:3]
        at = min(text.find(first), text.find(second))
        for stops in ([first, second], ["\u2063none", second, first]):
            told = await case.told(self.long, stop=stops)
            same(f"up to the first of {stops}", (told.text, told.finish_reason), (text[:at], "stop"))

    @clause
    async def test_11_characters_come_whole(self, case: ChatCase) -> None:
        """Characters come whole, whatever script they are of: the pieces are the plain answer's text, in UTF-8."""
        for said in (UNICODE, f"Say this again: {UNICODE} {UNICODE}"):
            whole = await case.answer(said, max_tokens=24)
            for _ in range(2):
                found = await case.chunks(said, max_tokens=24)
                (told,) = stream_keeps_grammar(found, choices=1, plain=whole)
                # A model may write a byte of nothing now and then; a character that was cut in two leaves more of them.
                holds("\ufffd\ufffd" not in told.text, f"the answer has broken characters: {told.text!r}")

    @clause
    async def test_12_every_text_may_be_said(self, case: ChatCase) -> None:
        """Every text may be said to the model: controls, marks of templates, quotes, other scripts, nothing at all."""
        for text in (*(one for one in TEXTS if len(one) < 100), ""):
            said = f"Text: {text}" if text else ""
            counts_are_right((await case.answer(said, max_tokens=1)).get("usage"))
            stream_keeps_grammar(await case.chunks(said, max_tokens=1), choices=1)

    @clause
    async def test_13_parts_are_text(self, case: ChatCase) -> None:
        """A message given as a part of type `text` is the same as one given as a string."""
        whole = await case.answer(self.long)
        for _ in range(2):
            made = await case.answer([{"type": "text", "text": self.long}])
            same("the answer", made["choices"], whole["choices"])
            same("usage", counts(made["usage"]), counts(whole["usage"]))

    @clause
    async def test_14_conversations_are_taken(self, case: ChatCase) -> None:
        """Messages of the roles system, developer, user and assistant are taken, in the order of a conversation."""
        turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
        last = {"role": "user", "content": self.long}
        for role in ("system", "developer"):
            said = [{"role": role, "content": "You are brief."}, *turns, last]
            made = await case.answer(said)
            counts_are_right(made.get("usage"))
            stream_keeps_grammar(await case.chunks(said), choices=1, plain=made)

    @clause
    async def test_15_the_request_stays_the_callers(self, case: ChatCase) -> None:
        """A request is not changed by being answered, and the same object may be asked again."""
        await answers.requests_stay_the_callers(case)

    @clause(optional="count_tokens")
    async def test_26_tokens_are_counted(self, case: ChatCase) -> None:
        """`count_tokens` counts the prompt as `usage` does, and writes nothing."""
        turns = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": UNICODE}]
        for said in (self.long, "a", turns):
            body = await case.body(said)
            made, context = await case.counted("chat.count_tokens", body)
            same("tokens written while counting", context.completion_tokens or 0, 0)
            same(f"the tokens of {said!r}", made, (await case.answer(said))["usage"]["prompt_tokens"])

    @clause(optional="context_length")
    async def test_30_the_context_is_told(self, case: ChatCase) -> None:
        """`context_length` tells how many tokens prompt and answer may have together, the same for every prompt."""
        told = await case.ask("chat.context_length", await case.body(self.long))
        usage = (await case.answer(self.long))["usage"]
        holds(usage["total_tokens"] <= told, f"an answer has {usage['total_tokens']} tokens, where {told} are told")
        same("what is told of another prompt", await case.ask("chat.context_length", await case.body("a")), told)

    @clause(optional="template")
    async def test_27_the_prompt_is_shown(self, case: ChatCase) -> None:
        """`template` shows the prompt: each message's text, in the order of the conversation."""
        said = [
            {"role": "system", "content": "first-mark"},
            {"role": "user", "content": "second-mark"},
            {"role": "assistant", "content": "third-mark"},
            {"role": "user", "content": "fourth-mark"},
        ]
        shown = await case.ask("chat.template", await case.body(said))
        places = [shown.find(one["content"]) for one in said]
        holds(min(places) >= 0 and places == sorted(places), f"the messages are not, in their order, in {shown!r}")
        same("shown again", await case.ask("chat.template", await case.body(said)), shown)

    @clause(optional="retrieve")
    async def test_28_what_is_kept_is_found(self, case: ChatCase) -> None:
        """An answer to `store: true` is found by its id until it is deleted; other answers are not kept."""
        made = await case.answer(self.long, store=True, metadata={"a": "b"})
        other = await case.answer(self.long)
        found = written(await case.ask("chat.retrieve", made["id"]))
        same("what is kept", found["choices"], made["choices"])
        same("id and pairs", (found["id"], found.get("metadata")), (made["id"], {"a": "b"}))
        status, told = await case.send("GET", f"{PATH}/{made['id']}")
        same("the same over HTTP", (status, told), (200, found))
        if case.tested.supports("list"):
            page = await case.ask("chat.list", ChatCompletionsQuery())
            same("the ids of those that are kept", [one.id for one in page.data], [made["id"]])
        if case.tested.supports("update"):
            body = ChatCompletionUpdate.model_validate({"metadata": {"c": "d"}})
            changed = written(await case.ask("chat.update", made["id"], body))
            same("the pairs after an update", changed["metadata"], {"c": "d"})
        gone = [other["id"], "chatcmpl-none", *case.hostile_ids()]
        if case.tested.supports("delete"):
            await case.ask("chat.delete", made["id"])
            gone.append(made["id"])
        for id in gone:
            refusal: Any = await case.refused(JanError, "chat.retrieve", id)
            holds(refusal.status in (400, 404), f"what is not kept is not found; {id[:50]!a}: {refusal.status}")
        same("files outside of the root", case.escaped(), [])

    @clause
    async def test_29_what_only_begins_like_a_stop_string_is_told(self, case: ChatCase) -> None:
        """A text that only begins like a `stop` string is told whole, in the middle of the answer and at its end."""
        whole = await case.answer(self.long)
        (choice,) = whole["choices"]
        text = choice["message"]["content"]
        never = [text[-2:] + "\u2063", text[len(text) // 2 :][:4] + "\u2063"]
        told = await case.told(self.long, stop=never)
        same("with stop strings that only begin", (told.text, told.finish_reason), (text, choice["finish_reason"]))
        same("the same in one reply", (await case.answer(self.long, stop=never))["choices"], whole["choices"])

    @clause
    async def test_31_every_message_is_read(self, case: ChatCase) -> None:
        """All messages are read, not only the last: `usage.prompt_tokens` grows with each, and with what it says."""
        few, many = "hello", "hello hello hello hello hello hello hello hello"
        turns = [("system", "You are brief."), ("user", few), ("assistant", few), ("user", few)]
        said = [{"role": role, "content": text} for role, text in turns]
        whole = await self._read(case, said)
        # With the instructions each time: a template may put others in the place of those that are not there.
        for without in (said[:2], [said[0], said[3]]):
            holds(
                await self._read(case, without) < whole,
                f"the {len(said)} messages {said} are as many tokens as {without} alone, {whole}: "
                "all messages of a conversation are read",
            )
        for number, (role, text) in enumerate(turns):
            longer = [*said[:number], {"role": role, "content": f"{text} {many}"}, *said[number + 1 :]]
            holds(
                await self._read(case, longer) > whole,
                f"the message {number} of {longer} is read as {text!r} is, as {whole} tokens in all",
            )

    async def _read(self, case: ChatCase, said: list[dict[str, str]]) -> int:
        """The tokens of a prompt, by turns of a reply and of a stream."""
        plain = counts((await case.answer(said, max_tokens=1)).get("usage"))
        chunks = await case.chunks(said, usage=True, max_tokens=1)
        same("usage, in the stream", counts(chunks[-1].get("usage")), plain)
        return int(plain["prompt_tokens"])
