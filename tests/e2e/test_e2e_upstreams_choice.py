"""Several upstreams behind one Jan: weights, the same replica for the same conversation, models that not all have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import JanServer
from tests.e2e.upstreams import MODEL, asked, jan_before, said, streamed
from tests.upstreams.process import Scripted

CONVERSATIONS = 60
TURNS = 4


@pytest.fixture(scope="module")
def behind() -> Iterator[list[Scripted]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Scripted(models=[MODEL])) for _ in range(3)]


@pytest.fixture(autouse=True)
def _calm(behind: list[Scripted]) -> None:
    for one in behind:
        one.calm()


def before(root: Path, behind: list[Scripted], *more: dict[str, Any]) -> JanServer:
    """A Jan in front of them, each with what is said of it besides."""
    described = [{"name": f"replica-{number}", "url": one.url} for number, one in enumerate(behind)]
    return jan_before(root, *(one | extra for one, extra in zip(described, more or [{}] * 9, strict=False)))


def counts(behind: list[Scripted]) -> list[int]:
    """How many answers each was asked for."""
    return [len(one.answers()) for one in behind]


def test_a_conversation_stays_where_it_began(tmp_path: Path, behind: list[Scripted]) -> None:
    homes = []
    with before(tmp_path / "root", behind) as jan:
        client = jan.client()
        for number in range(CONVERSATIONS // 5):
            messages = [{"role": "system", "content": "You are brief."}, *said(f"conversation {number}")]
            found = []
            for turn in range(TURNS):
                for one in behind:
                    one.control(forget=True)
                answer = streamed(client, messages)[0] if turn % 2 else asked(client, messages)
                found.append(counts(behind).index(1))
                messages += [{"role": "assistant", "content": answer}, *said(f"and then {turn}?")]
            homes.append(found)
    assert [found for found in homes if len(set(found)) > 1] == [], "a conversation went to another replica"
    assert {found[0] for found in homes} == {0, 1, 2}, "all conversations went to the same replicas"


def test_the_same_conversation_goes_the_same_way_after_a_restart(tmp_path: Path, behind: list[Scripted]) -> None:
    """Which replica it is follows from the conversation, not from what the server remembers."""
    ways = []
    for number in range(2):
        with before(tmp_path / f"root-{number}", behind) as jan:
            client = jan.client()
            found = []
            for conversation in range(8):
                for one in behind:
                    one.control(forget=True)
                asked(client, said(f"conversation {conversation}"))
                found.append(counts(behind))
            ways.append(found)
    assert ways[0] == ways[1]


def test_weights_share_the_conversations(tmp_path: Path, behind: list[Scripted]) -> None:
    with before(tmp_path / "root", behind, {"weight": 4}, {"weight": 1}, {"weight": 1}) as jan:
        client = jan.client()
        for number in range(CONVERSATIONS * 2):
            asked(client, said(f"conversation {number}"))
    heavy, *light = counts(behind)
    assert sum([heavy, *light]) == CONVERSATIONS * 2
    # Two thirds of 120 are 80; chance moves that by 5 (one standard deviation).
    assert 60 <= heavy <= 100, (heavy, light)
    assert all(8 <= one <= 36 for one in light), (heavy, light)


def test_a_model_is_asked_of_who_has_it(tmp_path: Path, behind: list[Scripted]) -> None:
    behind[0].control(models=["a", "both"])
    behind[1].control(models=["b", "both"])
    behind[2].control(models=["hidden", "c"])
    with before(tmp_path / "root", behind, {}, {}, {"models": ["c"]}) as jan:
        client = jan.client()
        assert sorted(one.id for one in client.models.list()) == ["a", "b", "both", "c"]
        for model in ("a", "b", "c"):
            for number in range(4):
                assert asked(client, said(f"{number}"), model=model) == f"{number} "
        assert counts(behind) == [4, 4, 4]
        for number in range(24):
            asked(client, said(f"conversation {number}"), model="both")
        assert sum(counts(behind)[:2]) == 32
        assert min(counts(behind)[:2]) > 4
        assert counts(behind)[2] == 4


def test_who_is_down_is_passed_over_and_asked_again_later(tmp_path: Path, behind: list[Scripted]) -> None:
    with before(tmp_path / "root", behind) as jan:
        client = jan.client()
        port = behind[1].port
        behind[1].kill()
        try:
            for number in range(24):
                assert asked(client, said(f"conversation {number}")) == f"conversation {number} "
        finally:
            behind[1].start()
        assert behind[1].port == port
        for number in range(1000):
            asked(client, said(f"later {number}"))
            if number % 20 == 19 and behind[1].answers():
                break
        assert behind[1].answers(), "a replica that is there again is never asked"
