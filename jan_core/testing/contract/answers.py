"""What the clauses of several endpoints share about answers that a model writes, and about streams of them.

Each function is one promise; the endpoints have it under numbers of their own.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

from jan_core.testing.contract.answers_case import AnswersCase, counts
from jan_core.testing.contract.case import Broken, holds, same, settled, written
from jan_core.testing.contract.grammar import stream_keeps_grammar
from jan_core.testing.contract.ticking import HELD_UP, TICK, held_up

MOST = 200
"""Tokens of an answer that is broken off."""
LOOKED_AT = 0.8
"""Seconds for which an answer is looked at while it is written."""
TRIES = 3
"""How often the loop has to be held up: once may have been the machine."""


async def no_id_comes_twice(case: AnswersCase) -> None:
    """Ask for four replies and for four streams at once."""
    plain = await settled([case.answer(case.long, max_tokens=1) for _ in range(4)])
    streams = await settled([case.chunks(case.long, max_tokens=1) for _ in range(4)])
    same("different ids of eight answers", len({one["id"] for one in [*plain, *(some[0] for some in streams)]}), 8)


async def streams_keep_the_grammar(case: AnswersCase, prefix: str) -> None:
    """Look at streams with and without `usage`, and at their heads."""
    for usage in (False, True, False, True):
        found = await case.chunks(case.long, usage=usage)
        stream_keeps_grammar(found, choices=1, usage=usage)
        same("the model", found[0]["model"], await case.model())
        holds(found[0]["id"].startswith(prefix), f"the id {found[0]['id']!r} does not begin with {prefix}")


async def pieces_add_up(case: AnswersCase) -> None:
    """Compare streams with the plain answer."""
    plain = await case.sent(case.long)
    directly = written(await case.ask(f"{case.tested.name}.create", await case.body(case.long)))
    same("the plain answers", directly["choices"], plain["choices"])
    for _ in range(2):
        (told,) = stream_keeps_grammar(await case.chunks(case.long), choices=1, plain=plain)
        holds(len([piece for piece in told.pieces if piece]) > 1, f"all of {told.text!r} came in one piece")


async def usage_where_it_is_asked_for(case: AnswersCase) -> None:
    """Ask with `include_usage`, without it, and with false."""
    for options, usage in (({"include_usage": True}, True), ({"include_usage": False}, False), (None, False)):
        for _ in range(2):
            found = await case.chunks(case.long, stream_options=options)
            told = [number for number, chunk in enumerate(found) if chunk.get("usage")]
            same(f"chunks with usage, for {options}", told, [len(found) - 1] if usage else [])
            empty = [number for number, chunk in enumerate(found) if not chunk["choices"]]
            same(f"chunks without choices, for {options}", empty, told)


async def usage_both_ways(case: AnswersCase) -> None:
    """Compare the counts of streams and replies at limits that they reach."""
    for limit in (1, 6):
        plain = counts((await case.answer(case.long, max_tokens=limit)).get("usage"))
        holds(plain["prompt_tokens"] > 0, "a prompt has tokens")
        same("the tokens written", plain["completion_tokens"], limit)
        same("the total", plain["total_tokens"], plain["prompt_tokens"] + limit)
        for _ in range(2):
            found = await case.chunks(case.long, usage=True, max_tokens=limit)
            same("usage, in the stream", counts(found[-1].get("usage")), plain)


async def limits_are_kept(case: AnswersCase) -> dict[int, dict[str, object]]:
    """Ask for answers of at most 1 and 5 tokens; returns the replies by limit."""
    found, texts = {}, {}
    for limit in (1, 5):
        made = await case.answer(case.long, max_tokens=limit)
        (choice,) = made["choices"]
        told = (choice["finish_reason"], made["usage"]["completion_tokens"])
        same(f"how an answer of at most {limit} ends, and its tokens", told, ("length", limit))
        found[limit], texts[limit] = made, case.said(choice) or ""
        streamed = await case.told(case.long, max_tokens=limit)
        same("the same as a stream", (streamed.text, streamed.finish_reason), (texts[limit], "length"))
    same("the beginning of the longer one", texts[5][: len(texts[1])], texts[1])
    return found


async def requests_stay_the_callers(case: AnswersCase) -> None:
    """Ask twice with the same objects, and compare them with copies."""
    plain, stream = await case.body(case.long, stop="\u2063"), await case.body(case.long, stream=True, n=2)
    before = [one.model_copy(deep=True) for one in (plain, stream)]
    for _ in range(2):
        await case.ask(f"{case.tested.name}.create", plain)
        await case.streamed(f"{case.tested.name}.create_stream", stream)
        same("the requests, afterwards", [plain, stream], before)


async def closing_ends_it(case: AnswersCase) -> None:
    """Close streams after no event, one, and three."""
    whole = await case.text(case.long)
    before = asyncio.all_tasks()
    for after in (0, 1, 3):
        async with case.no_stream_left():
            await case.left(await case.begun(case.endless, max_tokens=MOST), after)
            await case.quiet(before)
    same("the next answer", await case.text(case.long), whole)


async def giving_up_ends_it(case: AnswersCase) -> None:
    """Cancel requests at several moments, plain and as a stream."""
    whole = await case.text(case.long)
    name = case.tested.name
    before = asyncio.all_tasks()
    for after in (0, 0.02, 0.2):
        await case.given_up(case.ask(f"{name}.create", await case.body(case.endless, max_tokens=MOST)), after)
        body = await case.body(case.endless, stream=True, max_tokens=MOST)
        await case.given_up(case.streamed(f"{name}.create_stream", body), after)
        await case.quiet(before)
    same("the next answer", await case.text(case.long), whole)


async def leaving_ends_it(case: AnswersCase) -> None:
    """Leave over HTTP, in the middle of a stream and waiting for a reply."""
    whole = await case.text(case.long)
    before = asyncio.all_tasks()
    async with case.left_over_http(case.endless, max_tokens=MOST):
        pass
    body = await case.fields(case.endless, max_tokens=MOST)
    await case.given_up(case.http.request("POST", case.path, json=body), 0.2)
    await case.quiet(before)
    same("the next answer", await case.text(case.long), whole)


async def answers_are_not_mixed(case: AnswersCase, asked: list[str]) -> None:
    """Compare answers that are asked for at once with each alone.

    Args:
        case: the app.
        asked: what is said besides `long`.
    """
    asked = [case.long, *asked]
    alone = [await case.text(said, max_tokens=8) for said in asked]
    streams = await settled([case.chunks(said, max_tokens=8) for said in asked])
    told = [stream_keeps_grammar(found, choices=1)[0].text for found in streams]
    same("streams at once, against those answers alone", told, alone)
    same("different ids", len({found[0]["id"] for found in streams}), len(asked))
    plain = await settled([case.text(said, max_tokens=8) for said in asked])
    same("replies at once, against those answers alone", plain, alone)


async def the_call_is_told(case: AnswersCase) -> None:
    """Compare what the call was told with `usage`, for a reply and for a stream that tells none."""
    name = case.tested.name
    wanted = (await case.answer(case.long, max_tokens=6))["usage"]
    counted = (wanted["prompt_tokens"], wanted["completion_tokens"])
    made, context = await case.counted(f"{name}.create", await case.body(case.long, max_tokens=6))
    same("usage", counts(written(made)["usage"]), counts(wanted))
    same("the call's tokens", (context.prompt_tokens, context.completion_tokens), counted)
    body = await case.body(case.long, max_tokens=6, stream=True)
    _, context = await case.streamed(f"{name}.create_stream", body)
    same("the call's tokens, of a stream", (context.prompt_tokens, context.completion_tokens), counted)


async def the_loop_goes_on(case: AnswersCase) -> None:
    """Look at the event loop while a stream is read, and while a reply is waited for."""
    await case.answer(case.long, max_tokens=1)  # by now a model is loaded, and what answers is imported
    name = case.tested.name

    async def stream() -> None:
        until = time.monotonic() + LOOKED_AT
        async with aclosing(await case.begun(case.endless, max_tokens=MOST)) as events:  # type: ignore[type-var]
            try:
                async with asyncio.timeout(LOOKED_AT):
                    async for _ in events:
                        if time.monotonic() > until:
                            break
            except TimeoutError:
                pass

    async def plain() -> None:
        body = await case.body(case.endless, max_tokens=MOST)
        await case.given_up(case.ask(f"{name}.create", body), LOOKED_AT)

    for what, work in (("a stream is read", stream), ("a reply is waited for", plain)):
        behind = await held_up(work)
        for _ in range(TRIES - 1):
            if behind >= HELD_UP:
                behind = await held_up(work)
        if behind >= HELD_UP:
            raise Broken(
                f"while {what}, the event loop stood still for {behind * TICK:.1f} seconds: what takes its time goes "
                "into a thread or a process of its own"
            )
