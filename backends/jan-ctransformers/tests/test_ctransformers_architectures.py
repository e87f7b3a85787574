"""Every model type and format that the documentation names, run for real on a tiny model of it."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_ctransformers import CTransformers
from jan_models_json.ggml import read_ggml
from jan_models_json.gguf import read_header

from jan_core.app import open_jan
from jan_core.errors import EngineError, InvalidRequest
from jan_core.schemas.completions import CompletionRequest
from jan_core.schemas.models import ModelLocation
from tests.models.tiny import LOUD
from tests.models.tiny_every import EVERY, WRITERS, family
from tests.models.tiny_falcon import tokenizer_json
from tests.models.tiny_gpt2 import TALE
from tests.models.tiny_gptj import tiny_gptj
from tests.models.tiny_llama import tiny_llama
from tests.models.tiny_mpt import tiny_mpt

pytestmark = pytest.mark.anyio
OWN_CONTEXT = ("gpt2", "starcoder", "gptj", "gpt_neox", "dolly-v2", "mpt", "replit")
"""Model types whose files tell the context."""
every = pytest.mark.parametrize("name", EVERY)
Located = Callable[..., ModelLocation]


@pytest.fixture
def located(tmp_path: Path) -> Located:
    """`located("gptj", attention=…)`: a file of it, looked at as the models endpoint does."""

    def made(name: str, content: bytes | None = None, look: bool = True, **told: Any) -> ModelLocation:
        (tmp_path / "tokenizer.json").write_text(tokenizer_json(), "utf-8")
        content = EVERY[name](**told) if content is None else content
        path = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}.bin"
        path.write_bytes(content)
        metadata = read(path) if look else {"architecture": family(name), "context_length": 256}
        return ModelLocation(id=name, path=str(path), size=len(content), revision=path.name, metadata=metadata)

    return made


def read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return (read_header if file.read(4) == b"GGUF" else read_ggml)(str(path)).metadata


def text(pieces: list[dict[str, Any]]) -> str:
    return "".join(piece.get("text", "") for piece in pieces)


@every
def test_the_header_tells_what_it_is(located: Located, name: str) -> None:
    _, _, form = name.partition("-GG")
    found = located(name).metadata
    assert found["architecture"] == family(name)
    assert found.get("format", "GGUF") == "GG" + (form.partition("-")[0] or "ML")
    assert (found["embedding_length"], found["head_count"], found["block_count"]) == (64, 4, 1)
    told = 256 if family(name) in OWN_CONTEXT or form == "UF" else None
    assert (found.get("context_length"), 276 <= found["vocab_size"] <= 327) == (told, True)
    assert 60_000 < found["parameter_count"] < 110_000
    assert found.get("head_count_kv") == ({"-40": 2}.get(name[-3:], 1) if family(name) == "falcon" else None)
    quantized = name[-4:] if name.endswith("_0") else "F16" if name.endswith("F16") else "F32"
    assert found.get("quantization", "F32") == quantized


@every
async def test_it_answers_counts_streams_and_stops(located: Located, ask: Any, name: str) -> None:
    location = located(name)
    pieces = await ask(location, "completion", prompt="go", temperature=0)
    assert text(pieces) == f" {TALE}"
    begin = int(name.startswith("llama"))
    assert pieces[0] == {"prompt_tokens": 1 + begin, "cached_tokens": 0}
    assert (pieces[-1]["completion_tokens"], pieces[-1]["finish_reason"]) == (14, "stop")
    assert len([piece for piece in pieces if piece.get("text")]) >= 10, "it comes piece by piece"
    assert all("�" not in piece.get("text", "") for piece in pieces), "a character was cut"
    pieces = await ask(location, "completion", prompt="go", temperature=0, stop=["TOPPED"])
    assert (text(pieces), pieces[-1]["finish_reason"]) == (" One café for 5€ S", "stop")
    pieces = await ask(location, "completion", prompt="tick", temperature=0, max_tokens=3)
    assert (text(pieces), pieces[-1]["finish_reason"]) == (" tock tick tock", "length")
    (tokens,) = await ask(location, "tokenize", text="héllo €uro 漢字 🙂 two\n\tticks")
    (back,) = await ask(location, "detokenize", tokens=tokens["tokens"])
    assert back["text"].removeprefix(" ") == "héllo €uro 漢字 🙂 two\n\tticks"
    (count,) = await ask(location, "count", prompt="go")
    assert count == {"tokens": 1 + begin}


@every
async def test_a_cancelled_answer_leaves_a_model_that_answers(
    located: Located, engine: CTransformers, ask: Any, name: str
) -> None:
    location = located(name)
    for told, pieces in (({"prompt": "tick", "temperature": 0}, 4), ({"prompt": "tick " * 50}, 2)):
        asked: Any = engine.generate(location, "completion", told)
        for _ in range(pieces):
            await anext(asked)
        await asked.aclose()
        async with asyncio.timeout(60):
            while engine.model(location).slots.busy:
                await asyncio.sleep(0.005)
    assert text(await ask(location, "completion", prompt="go", temperature=0)) == f" {TALE}"


@pytest.mark.parametrize("name", WRITERS)
async def test_what_was_read_before_changes_nothing(located: Located, ask: Any, name: str) -> None:
    location = located(name, attention=LOUD)
    told = {"temperature": 0, "max_tokens": 20, "repeat_penalty": 1.0}
    long, other = "go tick dice one two three four STOPPED User", "go tick dice one two: three"
    said = text(await ask(location, "completion", prompt=long, **told))
    for before in (long, other, "nothing of the kind"):
        await ask(location, "completion", prompt=before, **told)
        pieces = await ask(location, "completion", prompt=long, **told)
        assert text(pieces) == said
        # Falcon's cache cannot be gone back in.
        assert name.startswith("falcon") or before.startswith("n") or pieces[0]["cached_tokens"] > 1
    first = await ask(location, "completion", prompt=[40, 50, 60], **{**told, "max_tokens": 1})
    assert first[0]["prompt_tokens"] == 3
    pieces = await ask(location, "completion", prompt=[40, 50, 60, 70, 80], **told)
    assert pieces[0]["cached_tokens"] == 3, "what only goes on is not read again"
    fresh = located(name, attention=LOUD)
    assert text(await ask(fresh, "completion", prompt=[40, 50, 60, 70, 80], **told)) == text(pieces)


async def test_a_real_llama_in_ggjt_knows_the_capital_of_france(smollm2_ggjt: Path, ask: Any) -> None:
    metadata = read(smollm2_ggjt)
    assert (metadata["architecture"], metadata["format"], metadata["vocab_size"]) == ("llama", "GGJT", 49152)
    location = ModelLocation(id="real", path=str(smollm2_ggjt), size=1, revision="1", metadata=metadata)
    messages = [{"role": "user", "content": "Name the capital of France."}]
    pieces = await ask(location, "chat", messages=messages, temperature=0, max_tokens=30)
    assert "Paris" in text(pieces)
    assert (pieces[0]["prompt_tokens"], pieces[-1]["finish_reason"]) == (14, "stop")


async def test_dolly_brings_its_template(located: Located, ask: Any) -> None:
    messages = [{"role": "user", "content": "go"}]
    pieces = await ask(located("dolly-v2"), "chat", messages=messages, temperature=0, max_tokens=5)
    # ### Instruction: \n g o \n \n ### Response: \n, and `go` is one word
    assert (pieces[0]["prompt_tokens"], pieces[-1]["finish_reason"]) == (7, "length")


async def test_the_beginning_and_the_end_have_a_name_where_they_have_no_text(located: Located, ask: Any) -> None:
    (tokens,) = await ask(located("llama-GGJT"), "tokenize", text="<s>go</s>go")
    assert [token for token in tokens["tokens"] if token < 3] == [1, 2]


@pytest.mark.parametrize("name", ["llama-GGJT", "falcon-GGCC", "mpt"])
async def test_a_byte_without_a_token_is_no_crash(located: Located, ask: Any, name: str) -> None:
    content = EVERY[name]()
    word = struct.pack("<I", 1) + b"q"
    assert content.count(word) >= 1
    location = located(name, content.replace(word, struct.pack("<I", 1) + b"Q", 1))
    (piece,) = await ask(location, "completion", prompt="quiet")
    assert (piece["error"]["code"], "'q'" in piece["error"]["message"]) == ("unreadable_text", True)
    assert text(await ask(location, "completion", prompt="go", temperature=0)) == f" {TALE}"


async def test_mpt_may_have_more_context_than_the_library_asks_for(located: Located, ask: Any) -> None:
    location = located("mpt", tiny_mpt(context=4096))
    assert location.metadata["context_length"] == 4096
    location = location.model_copy(update={"settings": {"ctx_len": 3000}})
    pieces = await ask(location, "completion", prompt=[0] * 2500, temperature=0, max_tokens=2)
    assert pieces[0]["prompt_tokens"] == 2500
    assert pieces[-1]["completion_tokens"] == 2


async def test_a_llama_of_the_first_format_is_refused_with_a_way_out(located: Located, ask: Any) -> None:
    location = located("llama-GGML", tiny_llama(magic=b"lmgg", version=None))
    assert (location.metadata["architecture"], location.metadata["format"]) == ("llama", "GGML")
    with pytest.raises(InvalidRequest, match=r"llama-GGML.*\.bin.*first GGML format.*GGJT") as refused:
        await ask(location, "completion", prompt="go")
    assert refused.value.code == "model_load_failed"


@pytest.mark.parametrize("name", ["falcon-GGML", "falcon-GGMF", "falcon-GGJT"])
async def test_an_early_falcon_needs_a_file_beside_it(located: Located, ask: Any, name: str) -> None:
    location = located(name)
    os.remove(Path(location.path).parent / "tokenizer.json")
    with pytest.raises(InvalidRequest, match=r"put the model's tokenizer\.json at /.*") as refused:
        await ask(location, "completion", prompt="go")
    assert refused.value.code == "model_load_failed"


@pytest.mark.parametrize(
    ("name", "told", "message"),
    [
        ("gptj", "gpt_neox", "gptj, which is what .* holds, not gpt_neox"),
        ("gpt_neox", "mpt", "gpt_neox, which is what .* holds, not mpt"),
        ("llama-GGJT", "falcon", "llama, which is what .* holds, not falcon"),
        ("replit", "bert", "one of dolly-v2, falcon, gpt2, .*, not 'bert'"),
    ],
)
async def test_a_type_that_the_file_is_not_is_refused(
    located: Located, ask: Any, name: str, told: str, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        await ask(located(name).model_copy(update={"settings": {"model_type": told}}), "completion", prompt="go")
    assert refused.value.code == "bad_model_settings"


@pytest.mark.parametrize(("name", "told"), [("gpt2", "starcoder"), ("gpt_neox", "dolly-v2"), ("dolly-v2", "gpt_neox")])
async def test_model_json_tells_apart_what_is_written_alike(located: Located, ask: Any, name: str, told: str) -> None:
    location = located(name).model_copy(update={"settings": {"model_type": told}})
    assert text(await ask(location, "completion", prompt="go", temperature=0)) == f" {TALE}"


@pytest.mark.parametrize("name", WRITERS)
async def test_a_file_damaged_behind_our_back_costs_its_request(located: Located, ask: Any, name: str) -> None:
    content, wanted = EVERY[name](), located(name)
    at = 4 if content.startswith(b"lmgg") else 8
    for data in (content[: len(content) // 2], content[: at + 4] + bytes(16) + content[at + 20 :], content[:20]):
        location = located(name, data, look=False)
        found = await end_of(ask(location, "completion", prompt="go", max_tokens=2), location.path)
        assert found in ("refused", "answered")
    assert text(await ask(wanted, "completion", prompt="go", temperature=0)) == f" {TALE}"


async def test_all_of_them_in_one_folder(tmp_path: Path) -> None:
    for name, write in EVERY.items():
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / ("a.gguf" if "GGUF" in name else "a.bin")).write_bytes(write())
        (tmp_path / "models" / name / "tokenizer.json").write_text(tokenizer_json(), "utf-8")
    (tmp_path / "models" / "broken").mkdir()
    (tmp_path / "models" / "broken" / "a.bin").write_bytes(tiny_gptj()[:-7])
    chosen: dict[str, Any] = {"chat": [], "runs": [], "completions": "completions-ctransformers", "embeddings": []}
    async with open_jan(tmp_path, endpoints=chosen, jan_ctransformers={"threads": 1}) as jan:
        assert {model.id for model in (await jan.models.list()).data} == set(EVERY)
        for name in EVERY:
            body = CompletionRequest.model_validate({"model": name, "prompt": "go", "temperature": 0, "max_tokens": 50})
            reply = await jan.completions.create(body)
            assert reply.choices[0].text == f" {TALE}", name
            assert reply.usage is not None
            assert reply.usage.completion_tokens == 14
        with pytest.raises(InvalidRequest, match=r"broken.*a\.bin is damaged"):
            await jan.completions.create(CompletionRequest.model_validate({"model": "broken", "prompt": "go"}))


async def end_of(asked: Any, name: str) -> str:
    """How a request to a damaged file ended: with an answer, or with an error that names the file."""
    try:
        await asked
    except (EngineError, InvalidRequest) as error:
        return "refused" if name in error.message else f"an error without a name: {error.message}"
    return "answered"
