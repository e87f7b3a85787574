from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from jan_ctransformers.generation import Sampling, Session


class Counting:
    """A model whose next token is one more than the last one; it notes what it was asked."""

    size = 100

    def __init__(self) -> None:
        self.read: list[tuple[int, ...]] = []
        self.sampled: list[tuple[Any, ...]] = []

    def evaluate(self, tokens: Sequence[int], past: int, threads: int) -> None:
        self.read.append(tuple(tokens))

    def sample(self, last: Sequence[int], *numbers: Any) -> int:
        self.sampled.append((tuple(last), *numbers))
        return self.read[-1][-1] + 1


@pytest.fixture
def model() -> Counting:
    return Counting()


@pytest.fixture
def session(model: Counting) -> Session:
    vocabulary: Any = SimpleNamespace(ends={9}, piece=lambda token: f"{token} ".encode())
    return Session(model, vocabulary, 20, 1, 3)


def answer(session: Session, prompt: list[int], leave: int = -1, **sampling: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def on_piece(piece: dict[str, Any]) -> bool:
        found.append(piece)
        return len(found) == leave

    session.answer(prompt, Sampling(**sampling), on_piece)
    return found


def test_a_prompt_is_read_in_parts(model: Counting, session: Session) -> None:
    found = answer(session, [1, 2, 3, 4, 5, 6, 7])
    assert model.read[:3] == [(1, 2, 3), (4, 5, 6), (7,)]
    assert found[-2:] == [
        {"text": "8 ", "completion_tokens": 1},
        {"text": "", "completion_tokens": 2, "finish_reason": "stop"},
    ]


@pytest.mark.parametrize(("leave", "read"), [(1, 0), (2, 3), (3, 6), (4, 7)])
def test_who_leaves_is_not_read_on_for(model: Counting, session: Session, leave: int, read: int) -> None:
    answer(session, [1, 2, 3, 4, 5, 6, 7], leave)
    assert sum(map(len, model.read)) == read
    again = answer(session, [1, 2, 3, 4, 5, 6, 7])
    assert again[0]["cached_tokens"] == min(read, 6)


def test_each_token_gets_a_seed_of_its_own(model: Counting, session: Session) -> None:
    answer(session, [1], seed=4, max_tokens=5)
    seeds = [asked[-1] for asked in model.sampled]
    assert len(set(seeds)) == 5
    answer(session, [1], seed=4, max_tokens=5)
    assert [asked[-1] for asked in model.sampled[5:]] == seeds
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_what_the_library_is_asked(model: Counting, session: Session) -> None:
    answer(session, [1, 2], max_tokens=1, temperature=0.5, top_k=0, top_p=0.7, repeat_penalty=1.2, repeat_last_n=1)
    assert model.sampled[-1][:-1] == ((2,), 100, 0.7, 0.5, 1.2)
    answer(session, [1, 2], max_tokens=1, temperature=0.001, top_k=40, repeat_last_n=0)
    assert model.sampled[-1][:-1] == ((), 1, 1.0, 1.0, 1.1)


def test_the_context_ends_an_answer(session: Session) -> None:
    session.context = 5
    found = answer(session, [20, 21, 22], max_tokens=50)
    assert found[-1] == {"text": "24 ", "completion_tokens": 2, "finish_reason": "length"}


def test_a_model_that_cannot_be_gone_back_in_reads_all_anew(model: Counting) -> None:
    vocabulary: Any = SimpleNamespace(ends={9}, piece=lambda token: f"{token} ".encode())
    session = Session(model, vocabulary, 20, 1, 3, rewinds=False)
    answer(session, [1, 2, 3], max_tokens=1)
    assert answer(session, [1, 2, 3, 4, 5], max_tokens=1)[0]["cached_tokens"] == 3, "what only goes on is kept"
    for prompt in ([1, 2, 3, 4], [1, 2, 3, 4]):
        assert answer(session, prompt, max_tokens=1)[0]["cached_tokens"] == 0
    assert model.read == [(1, 2, 3), (4, 5), (1, 2, 3), (4,), (1, 2, 3), (4,)]
