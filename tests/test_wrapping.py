from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import nullcontext
from typing import Any

import pytest

from jan_core import call
from jan_core.call import Call
from jan_core.errors import Busy, EngineError, NotSupported
from jan_core.refusal import Refusal
from jan_core.wrapping import Layer, Proceed, check, wrap
from tests.notes import Note, NoteEvent, NoteRequest, Notes, NotesInMemory

BODY = NoteRequest(text="a")


class Trace:
    """Wrappers that note when they are passed, and count the iterators they have open."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.open: list[str] = []
        self.closed: list[str] = []

    def plain(self, name: str) -> Any:
        async def wrapper(proceed: Proceed, *arguments: Any) -> Any:
            self.seen.append(f"{name}>{proceed.operation.qualified}")
            reply = await proceed(*arguments)
            self.seen.append(f"<{name}")
            return reply

        return wrapper

    def stream(self, name: str, fail_at: int = -1) -> Any:
        async def wrapper(proceed: Proceed, body: NoteRequest) -> AsyncIterator[NoteEvent]:
            self.seen.append(f"{name}>{proceed.operation.qualified}")
            return own(await proceed(body))

        async def own(events: AsyncIterator[NoteEvent]) -> AsyncIterator[NoteEvent]:
            self.open.append(name)
            number = 0
            try:
                async for event in events:
                    if number == fail_at:
                        raise Busy(f"{name} had enough.")
                    yield NoteEvent(event=f"{name}({event.event})", data=event.data)
                    number += 1
            finally:
                self.open.remove(name)
                self.closed.append(name)

        return wrapper


@pytest.mark.anyio
async def test_the_first_layer_is_outermost_for_a_reply() -> None:
    trace = Trace()
    notes: Any = wrap(NotesInMemory(), [Layer(name, {"create": trace.plain(name)}) for name in "abc"])
    assert (await notes.create(BODY)).text == "a"
    assert trace.seen == ["a>notes.create", "b>notes.create", "c>notes.create", "<c", "<b", "<a"]


@pytest.mark.anyio
async def test_the_first_layer_is_outermost_for_a_stream() -> None:
    trace = Trace()
    inner = NotesInMemory()
    notes: Any = wrap(inner, [Layer(name, {"create_stream": trace.stream(name)}) for name in "abc"])
    events = [event.event async for event in notes.create_stream(BODY)]
    assert events == ["a(b(c(note.begun)))", "a(b(c(note.made)))"]
    assert trace.seen == [f"{name}>notes.create_stream" for name in "abc"]
    assert (trace.open, inner.open) == ([], 0)


@pytest.mark.anyio
async def test_closing_a_stream_early_closes_every_layer_outermost_first() -> None:
    trace, inner = Trace(), NotesInMemory()
    notes: Any = wrap(inner, [Layer(name, {"create_stream": trace.stream(name)}) for name in "abc"])
    events = notes.create_stream(BODY)
    await anext(events)
    assert (sorted(trace.open), inner.open) == (["a", "b", "c"], 1)
    await events.aclose()
    assert (trace.open, inner.open) == ([], 0)
    assert trace.closed == ["a", "b", "c"]


@pytest.mark.anyio
async def test_a_stream_never_begun_opens_nothing() -> None:
    trace, inner = Trace(), NotesInMemory()
    notes: Any = wrap(inner, [Layer("a", {"create_stream": trace.stream("a")})])
    await notes.create_stream(BODY).aclose()
    assert (trace.seen, trace.closed, inner.open) == ([], [], 0)


@pytest.mark.anyio
@pytest.mark.parametrize("fail_at", [0, 1])
@pytest.mark.parametrize("failing", ["a", "b", "c"])
async def test_an_error_in_a_layer_closes_every_layer(failing: str, fail_at: int) -> None:
    trace, inner = Trace(), NotesInMemory()
    layers = [Layer(name, {"create_stream": trace.stream(name, fail_at if name == failing else -1)}) for name in "abc"]
    notes: Any = wrap(inner, layers)
    told = []
    with pytest.raises(Busy, match=f"{failing} had enough"):  # noqa: PT012 - what came before the error counts too
        async for event in notes.create_stream(BODY):
            told.append(event)
    assert len(told) == fail_at
    assert (trace.open, inner.open, sorted(trace.closed)) == ([], 0, ["a", "b", "c"])


@pytest.mark.anyio
async def test_an_error_of_the_implementation_passes_every_layer_and_closes_it() -> None:
    trace, inner = Trace(), NotesInMemory()
    notes: Any = wrap(inner, [Layer(name, {"create_stream": trace.stream(name)}) for name in "ab"])
    with pytest.raises(EngineError):
        async for _ in notes.create_stream(NoteRequest(text="fail")):
            pass
    assert (trace.open, inner.open, sorted(trace.closed)) == ([], 0, ["a", "b"])


@pytest.mark.anyio
async def test_what_a_wrapper_opened_and_dropped_is_closed() -> None:
    """A layer that asks twice, or that refuses after it has gone on, leaks nothing."""
    inner = NotesInMemory()

    async def twice(proceed: Proceed, body: NoteRequest) -> Any:
        await anext(await proceed(body))
        return await proceed(body)

    async def refuses(proceed: Proceed, body: NoteRequest) -> Any:
        await anext(await proceed(body))
        raise Busy("Not you.")

    again: Any = wrap(inner, [Layer("a", {"create_stream": twice})])
    assert [event.event async for event in again.create_stream(BODY)] == ["note.begun", "note.made"]
    assert inner.open == 0
    refusing: Any = wrap(inner, [Layer("a", {"create_stream": refuses})])
    with pytest.raises(Busy):
        await anext(refusing.create_stream(BODY))
    assert inner.open == 0


@pytest.mark.anyio
async def test_star_goes_around_every_operation_internal_ones_and_streams_too() -> None:
    trace, inner = Trace(), NotesInMemory()
    notes: Any = wrap(inner, [Layer("all", {"*": trace.plain("all")})])
    calls: dict[str, tuple[Any, ...]] = {
        "create": (BODY,),
        "list": (_page(),),
        "retrieve": ("note_0",),
        "delete": ("note_0",),
        "erase": ("a", 0),
    }
    for name, arguments in calls.items():
        trace.seen.clear()
        with pytest.raises(NotSupported) if name == "delete" else nullcontext():
            await getattr(notes, name)(*arguments)
        assert trace.seen[0] == f"all>notes.{name}"
    assert [event.event async for event in notes.create_stream(BODY)] == ["note.begun", "note.made"]
    assert "all>notes.create_stream" in trace.seen
    assert {*calls, "create_stream"} == {*Notes.operations()}


def _page() -> Any:
    from jan_core.schemas.pages import PageQuery

    return PageQuery()


@pytest.mark.anyio
async def test_arguments_given_by_name_reach_wrappers_by_position() -> None:
    """So `async def wrapper(proceed, *arguments)` fits every operation, and a wrapper may name them as it likes."""
    seen: list[Any] = []

    async def wrapper(proceed: Proceed, *arguments: Any, **named: Any) -> Any:
        seen.append((arguments, named))
        return await proceed(*arguments, **named)

    async def renamed(proceed: Proceed, request: NoteRequest) -> Any:
        return await proceed(request)

    inner = NotesInMemory()
    notes: Any = wrap(inner, [Layer("a", {"*": wrapper}), Layer("b", {"create": renamed, "create_stream": renamed})])
    await notes.create(body=BODY)
    assert [event.event async for event in notes.create_stream(body=BODY)] == ["note.begun", "note.made"]
    assert await notes.erase("a", keep=1) == 1
    assert await notes.erase(prefix="a") == 1
    assert await notes.erase(keep=0, prefix="a") == 0
    assert seen == [((BODY,), {}), ((BODY,), {}), (("a", 1), {}), (("a",), {}), (("a", 0), {})]


@pytest.mark.anyio
async def test_a_named_wrapper_is_outside_its_own_plugins_star() -> None:
    trace = Trace()
    wrappers = {"*": trace.plain("star"), "create": trace.plain("named")}
    notes: Any = wrap(NotesInMemory(), [Layer("a", wrappers), Layer("b", {"*": trace.plain("inner")})])
    await notes.create(BODY)
    assert [one.split(">")[0] for one in trace.seen[:3]] == ["named", "star", "inner"]


@pytest.mark.anyio
async def test_a_wrapper_sees_the_call_and_may_change_argument_and_reply() -> None:
    seen: list[Any] = []

    async def shout(proceed: Proceed, body: NoteRequest) -> Note:
        context = call.current()
        seen.append(context and (context.request_id, context.idempotency_key))
        note: Note = await proceed(NoteRequest(text=body.text.upper()))
        return Note(id=note.id, text=note.text + "!")

    async def answers(proceed: Proceed, note_id: str) -> Note:
        return Note(id=note_id, text="made up")

    inner = NotesInMemory()
    notes: Any = wrap(inner, [Layer("a", {"create": shout, "retrieve": answers})])
    call.enter(Call("req_9", idempotency_key="k"))
    assert (await notes.create(BODY)).text == "A!"
    assert [note.text for note in inner.kept] == ["A"]
    assert (await notes.retrieve("none")).text == "made up"
    assert seen == [("req_9", "k")]


@pytest.mark.anyio
async def test_a_wrapped_endpoint_is_of_its_class_and_passes_the_rest_on() -> None:
    class Lifecycle(NotesInMemory):
        engine = "pencil"
        told: list[str] = []  # noqa: RUF012

        async def __aenter__(self) -> Lifecycle:
            self.told.append("enter")
            return self

        async def __aexit__(self, *error: Any) -> None:
            self.told.append("exit")

        async def ready(self) -> None:
            raise Busy("Not yet.")

    inner = Lifecycle()
    notes = wrap(inner, [Layer("a", {"create": Trace().plain("a")})])
    assert isinstance(notes, Notes)
    assert (notes.declared(), notes.engine) == (Notes, "pencil")
    assert notes.supports("create")
    assert not notes.supports("delete")
    async with notes as entered:
        assert entered is notes
        with pytest.raises(Busy):
            await notes.ready()
    assert inner.told == ["enter", "exit"]


def test_without_a_wrapper_there_is_nothing_in_between() -> None:
    inner = NotesInMemory()
    assert wrap(inner, []) is inner
    assert wrap(inner, [Layer("a", {})]) is inner


def test_an_unknown_operation_is_refused_with_what_was_meant() -> None:
    with pytest.raises(Refusal) as caught:
        check(Notes, Layer("audit", {"craete": Trace().plain("a")}))
    facts = caught.value.facts()
    assert facts["asked"] == "plugin 'audit' wraps notes.craete"
    assert facts["cause"] == "the endpoint notes has no operation 'craete'"
    assert "did you mean 'create'?" in facts["remedy"]
    assert "erase" in facts["remedy"]  # all of them are told


def test_a_wrapper_that_is_no_coroutine_function_is_refused() -> None:
    def plain(proceed: Proceed, *arguments: Any) -> Any:
        return proceed(*arguments)

    async def generator(proceed: Proceed, *arguments: Any) -> AsyncIterator[Any]:
        yield 1

    for function in (plain, generator):
        with pytest.raises(Refusal, match="no coroutine function"):
            check(Notes, Layer("audit", {"*": function}))  # type: ignore[dict-item]
    check(Notes, Layer("audit", {"*": Trace().plain("a"), "erase": Trace().plain("a")}))


def test_what_is_no_mapping_of_wrappers_is_refused() -> None:
    with pytest.raises(Refusal, match="returned list") as refused:
        check(Notes, Layer("odd", []))  # type: ignore[arg-type]
    assert "'odd'" in refused.value.asked


@pytest.mark.anyio
async def test_a_stream_wrapper_that_returns_no_iterator_is_named() -> None:
    async def nothing(proceed: Proceed, *arguments: Any) -> None:
        return None

    streams = [name for name, operation in Notes.operations().items() if operation.stream]
    wrapped = wrap(NotesInMemory(), [Layer("odd", {streams[0]: nothing})])
    operation = Notes.operations()[streams[0]]
    with pytest.raises(TypeError, match=f"around notes.{streams[0]} returned NoneType"):
        await anext(getattr(wrapped, streams[0])(*[None] * len(operation.arguments)))
