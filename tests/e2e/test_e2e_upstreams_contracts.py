"""The contracts of chat, completions and embeddings, kept in front of real servers: a scripted one, and two Jans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jan_core.app import Jan
from jan_core.testing.contract.chat import ChatContract
from jan_core.testing.contract.clauses import Contract
from jan_core.testing.contract.completions import CompletionsContract
from jan_core.testing.contract.embeddings import EmbeddingsContract
from tests.upstreams import front
from tests.upstreams.process import Scripted, jan

DISTANT = "distant"
"""The model's id: no other model that the app has is called so."""
ENDLESS = json.dumps({"say": ["once ", "upon ", "a ", "time "], "rate": 1000, "hang": True})
ALIASES = f'[aliases]\n{DISTANT} = "scripted"\n'


@pytest.fixture(scope="session")
def scripted() -> Iterator[list[dict[str, Any]]]:
    """One server, whose replies lack fields and have others."""
    with Scripted(models=[DISTANT], form={"omit": ["system_fingerprint"], "extra": {"timings": {"ms": 1}}}) as upstream:
        yield [{"name": "one", "url": upstream.url}]


@pytest.fixture(scope="session")
def two_jans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """Two Jans on the scripted engine."""
    with ExitStack() as stack:
        described = []
        for number in range(2):
            root = tmp_path_factory.mktemp("behind") / "root"
            root.mkdir()
            (root / "jan.toml").write_text(ALIASES)
            described.append({"name": f"jan-{number}", "url": stack.enter_context(jan(root)).url})
        yield described


class Before(Contract):
    """What these suites share.

    Attributes:
        module: the module under test.
        behind: the upstreams.
    """

    module: ClassVar[str]
    model: ClassVar[str | None] = DISTANT
    behind: list[dict[str, Any]]

    def make(self, tmp_path: Path) -> Jan:
        return self.app(tmp_path, self.module, tables=front.backend(*self.behind))


class BeforeScripted(Before):
    @pytest.fixture(autouse=True)
    def _behind(self, scripted: list[dict[str, Any]]) -> None:
        self.behind = scripted


class BeforeJans(Before):
    @pytest.fixture(autouse=True)
    def _behind(self, two_jans: list[dict[str, Any]]) -> None:
        self.behind = two_jans


class TestChatBeforeScripted(BeforeScripted, ChatContract):
    module: ClassVar[str] = "chat-openai"
    endless: ClassVar[str] = ENDLESS


class TestCompletionsBeforeScripted(BeforeScripted, CompletionsContract):
    module: ClassVar[str] = "completions-openai"
    endless: ClassVar[str] = ENDLESS


class TestEmbeddingsBeforeScripted(BeforeScripted, EmbeddingsContract):
    module: ClassVar[str] = "embeddings-openai"


class TestChatBeforeJans(BeforeJans, ChatContract):
    module: ClassVar[str] = "chat-openai"
    endless: ClassVar[str] = ENDLESS


class TestCompletionsBeforeJans(BeforeJans, CompletionsContract):
    module: ClassVar[str] = "completions-openai"
    endless: ClassVar[str] = ENDLESS


class TestEmbeddingsBeforeJans(BeforeJans, EmbeddingsContract):
    module: ClassVar[str] = "embeddings-openai"
