from __future__ import annotations

import asyncio
import os
import signal
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_ctransformers import CTransformers
from jan_models_json.ggml import read_ggml
from jan_models_json.stream import BadModelFile

from jan_core.errors import EngineError, InvalidRequest
from jan_core.schemas.models import ModelLocation
from tests.models.tiny_gpt2 import DICE, TALE, tiny_gpt2

pytestmark = pytest.mark.anyio
Make = Callable[..., ModelLocation]
LOOP = "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3
ENDLESS: dict[str, Any] = {"prompt": "a b a b a b a b a b", "temperature": 0, "repeat_penalty": 1.0}
"""The real model goes on with this until its context is full: that takes seconds, and nothing of it is chance."""
FRANCE = [{"role": "user", "content": "Name the capital of France."}]


def text(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece.get("text", "") for piece in pieces)


async def test_the_real_model_knows_the_capital_of_france(smollm2: Make, smollm2_ggml: Path, ask: Any) -> None:
    source = template_of(smollm2_ggml)
    location = smollm2(metadata={"chat_template": source})
    pieces = await ask(location, "chat", messages=FRANCE, temperature=0)
    assert "Paris" in text(pieces)
    assert pieces[-1]["finish_reason"] == "stop"
    assert pieces[0] == {"prompt_tokens": 36, "cached_tokens": 0}, "36 is what llama.cpp counts for these messages"
    again = await ask(location, "chat", messages=FRANCE, temperature=0)
    assert (again[0]["cached_tokens"], text(again)) == (35, text(pieces))


def template_of(path: Path) -> Any:
    import gguf

    field = gguf.GGUFReader(path).get_field("tokenizer.chat_template")
    assert field is not None
    return field.contents()


async def test_what_the_tiny_model_says(tiny: Make, ask: Any) -> None:
    pieces = await ask(tiny(), "completion", prompt="go")
    assert text(pieces) == f" {TALE}"
    assert pieces[-1] == {"text": "", "completion_tokens": 14, "finish_reason": "stop"}
    assert all("�" not in piece.get("text", "") for piece in pieces), "a character was cut"


@pytest.mark.parametrize("stop", ["STOPP", "TOPPED.", "OP", "€ ST"])
async def test_nothing_of_a_stop_string_is_ever_sent(tiny: Make, ask: Any, stop: str) -> None:
    pieces = await ask(tiny(), "completion", prompt="go", stop=[stop, "never"])
    assert text(pieces) == f" {TALE}".partition(stop)[0]
    assert pieces[-1]["finish_reason"] == "stop"


async def test_text_that_only_looked_like_a_stop_string_is_sent(tiny: Make, ask: Any) -> None:
    assert text(await ask(tiny(), "completion", prompt="go", stop=["STOPPED!"])) == f" {TALE}"


async def test_the_limit(tiny: Make, ask: Any) -> None:
    pieces = await ask(tiny(), "completion", prompt="tick", max_tokens=3)
    assert (text(pieces), pieces[-1]["finish_reason"], pieces[-1]["completion_tokens"]) == (
        " tock tick tock",
        "length",
        3,
    )
    pieces = await ask(tiny(), "completion", prompt="go", max_tokens=3)
    assert text(pieces) == " One caf", "half a character is no text"
    pieces = await ask(tiny(), "completion", prompt="tick", max_tokens=0)
    assert pieces == [
        {"prompt_tokens": 1, "cached_tokens": 0},
        {"text": "", "completion_tokens": 0, "finish_reason": "length"},
    ]


async def test_the_answer_ends_where_the_context_does(tiny: Make, ask: Any) -> None:
    pieces = await ask(tiny(settings={"ctx_len": 20}), "completion", prompt="tick")
    assert pieces[-1]["finish_reason"] == "length"
    assert pieces[0]["prompt_tokens"] + pieces[-1]["completion_tokens"] == 20


@pytest.mark.parametrize("tokens", [20, 21, 300])
async def test_a_prompt_that_does_not_fit_is_refused_with_counts(tiny: Make, ask: Any, tokens: int) -> None:
    (piece,) = await ask(tiny(settings={"ctx_len": 20}), "completion", prompt="tick" + " tick" * (tokens - 1))
    assert piece["error"]["code"] == "context_length_exceeded"
    assert (piece["error"]["tokens"], piece["error"]["limit"]) == (tokens, 20)


async def test_a_seed_repeats_an_answer_and_no_seed_does_not(tiny: Make, ask: Any) -> None:
    told = {"prompt": "dice", "max_tokens": 12}
    first, again, other, free, free_again = [
        text(await ask(tiny(), "completion", **told, **({} if seed is None else {"seed": seed})))
        for seed in (1, 1, 2, None, None)
    ]
    assert first == again
    assert len({first, other, free, free_again}) == 4
    words = [word.decode() for word in DICE]
    assert {f" {word}" for word in first.split()} <= set(words)
    assert len(set(first.split())) > 1, "each token needs a draw of its own"


async def test_temperature_0_needs_no_seed(tiny: Make, ask: Any) -> None:
    found = {text(await ask(tiny(), "completion", prompt="dice", max_tokens=6, temperature=0)) for _ in range(3)}
    assert len(found) == 1


async def test_numbers_at_their_bounds(tiny: Make, ask: Any) -> None:
    for told in (
        {"temperature": 2.0, "top_p": 0.0, "top_k": 100_000},
        {"temperature": 1e-300, "top_p": 1.0, "top_k": 0},
        {"temperature": 0.01, "top_k": 1, "repeat_penalty": 0.01},
        {"repeat_penalty": 10.0, "repeat_last_n": 0, "seed": -(2**63)},
        {"seed": 2**63 - 1, "repeat_last_n": 1 << 24},
    ):
        pieces = await ask(tiny(), "completion", prompt="dice", max_tokens=4, **told)
        assert pieces[-1]["completion_tokens"] == 4, told


async def test_the_prompt_in_common_is_not_read_again(tiny: Make, ask: Any) -> None:
    first = "tick" + " tock tick" * 20
    await ask(tiny(), "completion", prompt=first, max_tokens=1)
    pieces = await ask(tiny(), "completion", prompt=first + " go", max_tokens=20)
    assert pieces[0] == {"prompt_tokens": 42, "cached_tokens": 41}
    assert text(pieces) == f" {TALE}", "what was kept is what was read"
    pieces = await ask(tiny(), "completion", prompt="dice", max_tokens=1)
    assert pieces[0]["cached_tokens"] == 0


async def test_tokens_and_back(tiny: Make, smollm2: Make, ask: Any) -> None:
    for location in (tiny(), smollm2()):
        for said in ("héllo €uro 漢字 🙂", "  two\n\n\tlines ", "a" * 3000):
            (tokens,) = await ask(location, "tokenize", text=said)
            (back,) = await ask(location, "detokenize", tokens=tokens["tokens"])
            assert back["text"] == said
    (tokens,) = await ask(smollm2(), "tokenize", text="<|im_start|>user\n<|im_end|>")
    assert (tokens["tokens"][0], tokens["tokens"][-1], len(tokens["tokens"])) == (1, 2, 4)
    assert (await ask(tiny(), "count", prompt="tick tock"))[0] == {"tokens": 2}


async def test_tokens_as_the_prompt(tiny: Make, ask: Any) -> None:
    (tokens,) = await ask(tiny(), "tokenize", text="go")
    assert text(await ask(tiny(), "completion", prompt=tokens["tokens"])) == f" {TALE}"
    for bad in (-1, 276, 2**31):
        (piece,) = await ask(tiny(), "completion", prompt=[bad])
        assert piece["error"]["code"] == "unknown_token"
        assert "0 to 275" in piece["error"]["message"]


async def test_text_that_cannot_be_read(tiny: Make, ask: Any) -> None:
    (piece,) = await ask(tiny(), "completion", prompt="a\0b")
    assert piece["error"]["code"] == "unreadable_text"


async def test_an_empty_prompt_is_the_beginning_of_any_text(tiny: Make, ask: Any) -> None:
    pieces = await ask(tiny(), "completion", prompt="", max_tokens=1)
    assert pieces[0]["prompt_tokens"] == 1


async def test_chat_by_a_named_template(tiny: Make, ask: Any) -> None:
    messages = [{"role": "user", "content": "go"}]
    pieces = await ask(tiny(settings={"chat_template": "plain"}), "chat", messages=messages)
    assert text(pieces) == f" {TALE}"
    (piece,) = await ask(tiny(), "chat", messages=messages)
    assert piece["error"]["code"] == "no_chat_template"


async def test_a_template_that_refuses_the_messages(tiny: Make, ask: Any) -> None:
    source = "{% if messages[0].role != 'user' %}{{ raise_exception('no system here') }}{% endif %}:"
    location = tiny(settings={"chat_template": source})
    with pytest.raises(InvalidRequest, match="no system here") as refused:
        await ask(location, "chat", messages=[{"role": "system", "content": "a"}])
    assert refused.value.code == "template_failed"
    assert text(await ask(location, "chat", messages=[{"role": "user", "content": "a"}])) == f" {TALE}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for a in range(999999999) %}x{% endfor %}",
        LOOP,
    ],
)
async def test_a_harmful_template_is_not_run(tiny: Make, ask: Any, source: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await ask(tiny(settings={"chat_template": source}), "chat", messages=FRANCE)
    assert refused.value.code == "harmful_template"
    assert refused.value.message.startswith("model.json of 'tiny': settings.chat_template: ")


async def test_a_template_that_cannot_be_read_is_told_with_its_line(tiny: Make, ask: Any) -> None:
    told = r"model\.json of 'tiny': settings\.chat_template: the chat template cannot be read: line 2: .*; mend it"
    with pytest.raises(InvalidRequest, match=told) as refused:
        await ask(tiny(settings={"chat_template": "a\n{% if %}"}), "chat", messages=FRANCE)
    assert (refused.value.code, refused.value.param) == ("bad_template", "model")


async def test_a_template_that_loops_on_some_messages_ends_its_worker_only(tiny: Make, ask: Any) -> None:
    location = tiny(settings={"chat_template": "{% if messages[0].content == 'loop' %}" + LOOP + "{% endif %}:"})
    with pytest.raises(InvalidRequest) as refused:
        await ask(location, "chat", messages=[{"role": "user", "content": "loop"}])
    assert refused.value.code == "template_timeout"
    assert text(await ask(location, "chat", messages=[{"role": "user", "content": "a"}])) == f" {TALE}"


async def test_a_cancelled_answer_frees_its_slot(smollm2: Make, engine: CTransformers, ask: Any) -> None:
    location = smollm2()
    await ask(location, "completion", prompt="a", max_tokens=1)
    slots = engine.model(location).slots

    async def left_after(pieces: int, told: dict[str, Any]) -> dict[str, Any]:
        """The last of so many pieces; returns when the slot is free again."""
        asked: Any = engine.generate(location, "completion", told)
        for _ in range(pieces):
            last = await anext(asked)
        await asked.aclose()
        async with asyncio.timeout(60):
            while slots.busy:
                await asyncio.sleep(0.005)
        return dict(last)

    # While it writes, and while it reads: a piece tells that the prompt was taken, and one each part that was read.
    for told, pieces, whole in ((ENDLESS, 5, ENDLESS["prompt"] + " a b" * 245), ({"prompt": "word " * 480}, 2, None)):
        last = await left_after(pieces, told)
        assert bool(last.get("completion_tokens")) == (told is ENDLESS)
        known = await left_after(1, {"prompt": whole or told["prompt"]})
        assert known["cached_tokens"] < known["prompt_tokens"] - 5 > 470, "it went on to its end"
    assert text(await ask(location, "completion", prompt="1, 2, 3,", max_tokens=4, temperature=0))


async def test_requests_at_once_wait_for_one_another(tiny: Make, engine: CTransformers, ask: Any) -> None:
    found = await asyncio.gather(*(ask(tiny(), "completion", prompt="go") for _ in range(3)))
    assert [text(pieces) for pieces in found] == [f" {TALE}"] * 3
    assert engine.model(tiny()).slots.count == 1


async def test_a_killed_worker_costs_its_request_and_no_other(
    tiny: Make, smollm2: Make, engine: CTransformers, ask: Any
) -> None:
    location = smollm2()
    asked = engine.generate(location, "completion", ENDLESS)
    await anext(asked)
    worker = engine.model(location).worker
    assert worker is not None
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EngineError):
        async for _ in asked:
            pass
    assert text(await ask(location, "completion", prompt="1, 2, 3,", max_tokens=4, temperature=0))
    assert text(await ask(tiny(), "completion", prompt="go")) == f" {TALE}"


async def test_a_file_that_crashes_the_library_at_the_first_prompt(tiny: Make, ask: Any, tmp_path: Path) -> None:
    path = tmp_path / "one-head.bin"
    path.write_bytes(tiny_gpt2(heads=1))
    with pytest.raises(EngineError, match=r"one-head\.bin"):
        await ask(tiny(path=str(path)), "completion", prompt="tick tick tick tick")
    assert text(await ask(tiny(), "completion", prompt="go")) == f" {TALE}"


async def test_a_type_whose_files_are_written_alike(tiny: Make, ask: Any) -> None:
    assert text(await ask(tiny(settings={"model_type": "starcoder"}), "completion", prompt="go")) == f" {TALE}"


async def test_a_file_of_another_type_is_an_error_that_names_it(tiny: Make, ask: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"tiny-gpt2\.bin.*vocab size") as refused:
        await ask(tiny(metadata={"architecture": "gptj"}), "completion", prompt="go")
    assert refused.value.code == "model_load_failed"


async def test_half_precision(tiny: Make, ask: Any, tmp_path: Path) -> None:
    path = tmp_path / "half.bin"
    path.write_bytes(tiny_gpt2(half=True))
    assert text(await ask(tiny(path=str(path)), "completion", prompt="go")) == f" {TALE}"


@pytest.mark.faults
async def test_damaged_files_cost_their_worker_only(tiny: Make, ask: Any, tmp_path: Path, full_counts: bool) -> None:
    whole = tiny_gpt2()
    places = range(0, 36 * 4, 4) if full_counts else (0, 4, 12, 20, 28)
    damaged = {"cut.bin": whole[: len(whole) // 2]}
    for place in places:
        for value in (0, 5, 2**31 - 1):
            damaged[f"{place}-{value}.bin"] = whole[:place] + struct.pack("<i", value) + whole[place + 4 :]
    ends: Counter[str] = Counter()
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        if refused_before(tmp_path / name):
            ends["refused by the models endpoint"] += 1
            continue
        found = await end_of(ask(tiny(path=str(tmp_path / name)), "completion", prompt="go", max_tokens=2), name)
        ends[found] += 1
    print(f"{len(damaged)} damaged files: {dict(ends)}")
    assert set(ends) <= {"InvalidRequest", "EngineError", "answered", "refused by the models endpoint"}
    assert text(await ask(tiny(), "completion", prompt="go")) == f" {TALE}"


def refused_before(path: Path) -> bool:
    """Whether the models endpoint keeps the file from the engine: the library would read a damaged one for hours."""
    try:
        read_ggml(str(path))
    except BadModelFile:
        return True
    return False


async def end_of(asked: Any, name: str) -> str:
    """How a request to a damaged file ended: with an answer, or with an error that names it."""
    try:
        await asked
    except (EngineError, InvalidRequest) as error:
        return type(error).__name__ if name in error.message else f"an error without a name: {error.message}"
    return "answered"
