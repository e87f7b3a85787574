from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp
from jan_llamacpp.estimate import PROCESS_BYTES, estimate

from jan_core.schemas.models import ModelLocation

MIB = 1 << 20
SMOLLM2 = {
    "block_count": 30,
    "embedding_length": 576,
    "head_count": 9,
    "head_count_kv": 3,
    "vocab_size": 49152,
    "context_length": 8192,
}
WEIGHTS = 98_362_432
GIVEN = {"context": 1000, "slots": 2, "batch": 64, "prompt_cache_mib": 0}


def size_of(path: Path) -> int:
    return path.stat().st_size


def parts(metadata: dict[str, Any], size: int = 100 * MIB, **given: Any) -> dict[str, int]:
    location = ModelLocation(id="m", path="/nowhere", size=size, revision="1", metadata=metadata)
    found = estimate(location, {**GIVEN, **given})
    assert found.total == sum(found.parts.values())
    assert found.parts["weights"] == size
    assert found.parts["process"] == PROCESS_BYTES
    return found.parts


def test_the_kv_cache_follows_from_the_header_context_and_slots() -> None:
    one = 30 * 3 * (64 + 64) * 2
    assert parts(SMOLLM2)["kv_cache"] == 2000 * one
    assert parts(SMOLLM2, context=4096, slots=4)["kv_cache"] == 16384 * one
    # Heads of a size of their own, as Gemma has; without the count of key and value heads, all are taken.
    assert parts({**SMOLLM2, "key_length": 256, "value_length": 128})["kv_cache"] == 2000 * 30 * 3 * 384 * 2
    assert parts({**SMOLLM2, "head_count_kv": None})["kv_cache"] == 3 * 2000 * one


def test_a_header_that_tells_too_little_costs_a_share_of_the_weights() -> None:
    for metadata in ({}, {**SMOLLM2, "head_count": "9"}, {**SMOLLM2, "block_count": 0}):
        assert parts(metadata)["kv_cache"] == 25 * MIB


def test_projector_and_prompt_cache_count(tmp_path: Path) -> None:
    projector = tmp_path / "mmproj.gguf"
    projector.write_bytes(b"x" * 1000)
    assert parts(SMOLLM2, mmproj=str(projector), prompt_cache_mib=256)["projector"] == 1000
    assert parts(SMOLLM2, prompt_cache_mib=256)["prompt_cache"] == 256 * MIB
    assert parts(SMOLLM2, mmproj=str(tmp_path / "none"))["projector"] == 0


def test_a_larger_batch_needs_more() -> None:
    assert parts(SMOLLM2, batch=512)["compute"] == 8 * parts(SMOLLM2)["compute"] > 64 * MIB


def test_vectors_come_out_of_every_token_unless_the_model_has_no_words_to_put_out() -> None:
    assert parts(SMOLLM2, pooling="mean")["compute"] > 1.8 * parts(SMOLLM2)["compute"]
    assert parts({**SMOLLM2, "architecture": "nomic-bert"}, pooling="mean")["compute"] < 2 * MIB


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of another process is read from /proc")
@pytest.mark.parametrize(("context", "slots"), [(512, 1), (2048, 8)])
async def test_it_is_near_what_a_worker_really_holds(
    engine: Callable[..., LlamaCpp],
    location: Callable[..., ModelLocation],
    smollm2_path: Path,
    context: int,
    slots: int,
) -> None:
    llama = engine()
    here = location(size=WEIGHTS, metadata=SMOLLM2, settings={"ctx_len": context, "n_parallel": slots})
    assert size_of(smollm2_path) == WEIGHTS
    async with llama.workers:
        shown = await llama.load(here)
        assert shown.memory is not None
        assert shown.estimated == llama.estimate(here).total
        print(f"estimated {shown.estimated // MIB} MiB, held {shown.memory // MIB} MiB")
        assert 0.85 < shown.estimated / shown.memory < 1.25


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of another process is read from /proc")
async def test_it_is_near_what_a_worker_for_vectors_holds_after_a_long_text(
    engine: Callable[..., LlamaCpp], location: Callable[..., ModelLocation]
) -> None:
    llama = engine()
    here = location(size=WEIGHTS, metadata=SMOLLM2, settings={"ctx_len": 256, "n_parallel": 1})
    async with llama.workers:
        shown = await llama.load(here, "embeddings")
        body = {"input": ["hi " * 200]}
        assert [piece async for piece in llama.generate(here, "embedding", body, purpose="embeddings")]
        (now,) = llama.loaded()
        assert (now.pid, now.purpose) == (shown.pid, "embeddings")
        assert now.memory is not None
        assert now.estimated is not None
        print(f"estimated {now.estimated // MIB} MiB, held {now.memory // MIB} MiB")
        assert 0.8 < now.estimated / now.memory < 1.3
