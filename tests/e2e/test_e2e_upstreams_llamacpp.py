"""Jan in front of llama.cpp's own HTTP server, on the real model: contracts, and its slot, free when a client left."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jan_core.app import Jan
from jan_core.testing.contract.chat import ChatContract
from jan_core.testing.contract.completions import CompletionsContract
from jan_core.testing.contract.embeddings import EmbeddingsContract
from tests.e2e.upstreams import asked, jan_before, said
from tests.smollm2 import GO_ON
from tests.upstreams import front
from tests.upstreams.llamacpp import ALIAS
from tests.upstreams.process import llamacpp

FREE_MS = 500
"""In which the only slot must be free again, on a busy machine; what is promised on a quiet one is 200."""


@pytest.fixture(scope="module")
def writing(smollm2_path: Path) -> Iterator[list[dict[str, Any]]]:
    """A server that writes answers."""
    with llamacpp(smollm2_path, slots=4, cache=False) as upstream:
        yield [{"name": "llamacpp", "url": upstream.url}]


@pytest.fixture(scope="module")
def measuring(smollm2_path: Path) -> Iterator[list[dict[str, Any]]]:
    """One that makes vectors."""
    with llamacpp(smollm2_path, slots=2, context=256, embedding=True) as upstream:
        yield [{"name": "llamacpp", "url": upstream.url}]


class TestChat(ChatContract):
    lasting: ClassVar[bool] = True
    missing: ClassVar[Mapping[int, str]] = {
        29: "llama.cpp's server drops what it held back for a stop string where the limit ends the answer",
    }
    model: ClassVar[str | None] = ALIAS

    @pytest.fixture(autouse=True)
    def _behind(self, writing: list[dict[str, Any]]) -> None:
        self.behind = writing

    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "chat-openai", tables=front.backend(*self.behind))


class TestCompletions(CompletionsContract):
    lasting: ClassVar[bool] = True
    model: ClassVar[str | None] = ALIAS

    @pytest.fixture(autouse=True)
    def _behind(self, writing: list[dict[str, Any]]) -> None:
        self.behind = writing

    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "completions-openai", tables=front.backend(*self.behind))


class TestEmbeddings(EmbeddingsContract):
    lasting: ClassVar[bool] = True
    model: ClassVar[str | None] = ALIAS

    @pytest.fixture(autouse=True)
    def _behind(self, measuring: list[dict[str, Any]]) -> None:
        self.behind = measuring

    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, "embeddings-openai", tables=front.backend(*self.behind))


def test_the_only_slot_is_free_when_a_client_has_left(tmp_path: Path, smollm2_path: Path) -> None:
    with (
        llamacpp(smollm2_path, slots=1, context=2048) as upstream,
        jan_before(tmp_path / "root", {"name": "llamacpp", "url": upstream.url}) as jan,
    ):
        client = jan.client()
        hello: dict[str, Any] = {"model": ALIAS, "max_tokens": 1}
        usual = []
        for _ in range(5):
            began = time.monotonic()
            asked(client, said("hello"), **hello)
            usual.append(time.monotonic() - began)
        taken = []
        for number in range(12):
            raw = jan.raw()
            raw.chat(model=ALIAS, messages=said(f"{number}: a story"), max_tokens=900, stream=number % 3 != 0, **GO_ON)
            if number % 3:
                raw.head()
                events = raw.events()
                for _ in range(5):
                    next(events)
            raw.leave()
            began = time.monotonic()
            asked(client, said("hello"), **hello)
            taken.append((time.monotonic() - began - statistics.median(usual)) * 1000)
    print(f"\nslot of the upstream free after {statistics.median(taken):.0f} ms (median), {max(taken):.0f} ms at most")
    assert statistics.median(taken) < FREE_MS, taken
