"""Fields of requests that the API does not know: refused, or passed on to the upstream, as the config says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.server import JanServer
from tests.e2e.upstreams import MODEL, asked, jan_before, said, streamed
from tests.upstreams import front
from tests.upstreams.process import Scripted

MORE: dict[str, Any] = {"guided_json": {"type": "object", "deep": [1, None]}, "min_tokens": 3, "nothing": None}
"""Fields that no schema of the API has."""


@pytest.fixture(scope="module")
def behind() -> Iterator[Scripted]:
    with Scripted(models=[MODEL]) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
def _calm(behind: Scripted) -> None:
    behind.calm()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, behind: Scripted) -> Iterator[JanServer]:
    with jan_before(tmp_path_factory.mktemp("strict") / "root", {"name": "one", "url": behind.url}) as server:
        yield server


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory, behind: Scripted) -> Iterator[JanServer]:
    root = front.write(tmp_path_factory.mktemp("passing") / "root", {"name": "one", "url": behind.url})
    with (root / "jan.toml").open("a") as file:
        file.write("".join(f'[{module}]\nunknown_fields = "pass on"\n' for module in front.MODULES.values()))
    with JanServer(root) as server:
        yield server


def further(behind: Scripted) -> list[dict[str, Any]]:
    """Of each request that came, the fields that the API does not know."""
    return [{name: one["body"][name] for name in MORE if name in one["body"]} for one in behind.answers()]


def test_they_are_refused_where_nothing_is_said(strict: JanServer, behind: Scripted) -> None:
    client = strict.client()
    calls: list[Any] = [
        lambda: asked(client, said("hello"), extra_body=MORE),
        lambda: streamed(client, said("hello"), extra_body=MORE),
        lambda: client.completions.create(model=MODEL, prompt="hello", extra_body=MORE),
        lambda: client.embeddings.create(model=MODEL, input="hello", extra_body=MORE),
    ]
    for call in calls:
        with pytest.raises(openai.BadRequestError) as told:
            call()
        assert (told.value.code, told.value.param in MORE) == ("unknown_field", True)
    assert behind.answers() == []


def test_they_are_passed_on_as_they_came(passing: JanServer, behind: Scripted) -> None:
    client = passing.client()
    assert asked(client, said("one two"), extra_body=MORE) == "one two "
    assert streamed(client, said("one two"), extra_body=MORE) == ("one two ", "stop")
    assert len(client.chat.completions.create(model=MODEL, messages=said("a"), n=2, extra_body=MORE).choices) == 2
    assert client.completions.create(model=MODEL, prompt="one", extra_body=MORE).choices[0].text == "one "
    assert len(client.embeddings.create(model=MODEL, input=["a", "b"], extra_body=MORE).data) == 2
    assert further(behind) == [MORE] * 6
    behind.calm()
    assert asked(client, said("one two")) == "one two "
    assert further(behind) == [{}]


def test_what_is_refused_all_the_same(passing: JanServer, behind: Scripted) -> None:
    http = passing.http()
    known = {"model": MODEL, "messages": said("hello")}
    for more, param in (
        ({"messages": [{"role": "user", "content": "a", "zzz": 1}]}, "messages[0].zzz"),
        ({"temperature": 99}, "temperature"),
        ({"store": True}, "store"),
    ):
        reply = http.post("/v1/chat/completions", json={**known, **MORE, **more})
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert http.post("/v1/chat/completions", json={**known, "model": "none", **MORE}).status_code == 404
    raw = b'{"model": "scripted", "messages": [{"role": "user", "content": "a"}], "zzz": [1e999]}'
    reply = http.post("/v1/chat/completions", content=raw, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "zzz[0]")
    assert behind.answers() == []
