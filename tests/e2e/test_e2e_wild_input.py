"""Numbers and values of chance in every field of every request that an engine answers: a 400 or an answer, no crash."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.raw import CHAT
from tests.e2e.server import LINUX, MODEL, JanServer

pytestmark = [pytest.mark.faults, LINUX]

HELLO = [{"role": "user", "content": "hi"}]
END = {"2": 100}
"""Forces the token that ends an answer, where its length is what is tried."""

WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
EDGES = st.sampled_from(
    [0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, 2**32, 2**63 - 1, 2**63, -(2**63), 1e-300, 1e300]
)
KNOWN = st.integers(0, 49_151)
"""Numbers of tokens that the real model has."""
TOKENS = st.lists(KNOWN, min_size=1, max_size=3) | st.lists(
    KNOWN | st.sampled_from([-1, 49_152, 2**31 - 1, 2**31, 2**32, 2**63]), max_size=3
)
BIASES = st.dictionaries(st.integers(0, 10**9).map(str), st.floats(-100, 100), max_size=4)
CHOICES = st.integers(1, 4) | st.sampled_from([0, -1, 2**31, 2**64])
SAMPLING: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0, 2) | EDGES,
    "top_p": st.floats(0, 1) | EDGES,
    "top_k": st.integers(0, 100_000) | EDGES,
    "min_p": st.floats(0, 1) | EDGES,
    "typical_p": st.floats(0, 1) | EDGES,
    "repeat_penalty": st.floats(0, 10) | EDGES,
    "frequency_penalty": st.floats(-2, 2) | EDGES,
    "presence_penalty": st.floats(-2, 2) | EDGES,
    "seed": st.integers(-(2**63), 2**63 - 1) | EDGES,
    "n": CHOICES,
    "max_tokens": EDGES,
    "logit_bias": BIASES,
}


class Route(NamedTuple):
    """What is asked.

    Attributes:
        path: the route.
        schema: the name of its requests' schema.
        least: a request that is answered, but for the model.
        numbers: what its fields are tried with.
    """

    path: str
    schema: str
    least: dict[str, Any]
    numbers: dict[str, st.SearchStrategy[Any]]


ROUTES = [
    Route(
        CHAT,
        "ChatCompletionRequest",
        {"messages": HELLO, "max_tokens": 1},
        {**SAMPLING, "logprobs": st.booleans(), "top_logprobs": st.integers(0, 20) | EDGES},
    ),
    Route(
        "/v1/completions",
        "CompletionRequest",
        {"prompt": "hi", "max_tokens": 1},
        {
            **SAMPLING,
            "prompt": TOKENS | st.lists(TOKENS, max_size=3),
            "best_of": CHOICES,
            "logprobs": st.integers(0, 5) | EDGES,
            "echo": st.booleans(),
        },
    ),
    Route(
        "/v1/embeddings",
        "EmbeddingRequest",
        {"input": "hi"},
        {
            "input": TOKENS | st.lists(TOKENS, max_size=3),
            "dimensions": st.integers(1, 600) | EDGES,
            "encoding_format": st.sampled_from(["float", "base64"]),
        },
    ),
]
each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path.removeprefix("/v1/"))


def post(http: httpx2.Client, route: Route, body: dict[str, Any]) -> httpx2.Response:
    return http.post(route.path, content=json.dumps(body), headers={"content-type": "application/json"})


def some_of(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Values for one to three fields: with more of them, hardly a request would have nothing wrong."""
    names = st.lists(st.sampled_from(sorted(fields)), min_size=1, max_size=3, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen}))


def warm(shared: JanServer, route: Route) -> tuple[httpx2.Client, list[int]]:
    """Have the models loaded that are asked; returns a client, and the workers that must live on."""
    http = shared.http()
    for model in (MODEL, "small"):
        response = post(http, route, {"model": model, **route.least})
        assert response.status_code == 200, response.text
    return http, shared.workers()


@each_route
def test_numbers_that_reach_the_engine_do_not_crash_it(shared: JanServer, route: Route, full_counts: bool) -> None:
    (http, workers), statuses = warm(shared, route), []

    @settings(
        max_examples=1000 if full_counts else 60,
        deadline=None,
        database=None,
        derandomize=not full_counts,
        suppress_health_check=list(HealthCheck),
    )
    @given(some_of(route.numbers))
    def ask(numbers: dict[str, Any]) -> None:
        short = {"logit_bias": END} if "max_tokens" in numbers else {}
        response = post(http, route, {"model": MODEL, **route.least, **numbers, **short})
        statuses.append(response.status_code)
        assert response.status_code in (200, 400), (numbers, response.text)
        if response.status_code == 400:
            assert response.json()["error"]["param"], (numbers, response.text)

    ask()
    assert statuses.count(200) > len(statuses) / 10, "too few reached the engine to tell anything"
    assert set(workers) <= set(shared.workers()), "a worker was lost"
    print(f"\n{len(statuses)} requests: {statuses.count(200)} answered, {statuses.count(400)} refused, 0 crashes")


@each_route
def test_wild_values_in_every_field_are_never_a_5xx(shared: JanServer, route: Route, full_counts: bool) -> None:
    (http, workers), statuses = warm(shared, route), []
    schema = http.get("/openapi.json").json()["components"]["schemas"][route.schema]
    fields = sorted(schema["properties"])
    assert "model" in fields

    @settings(
        max_examples=2000 if full_counts else 80,
        deadline=None,
        database=None,
        derandomize=not full_counts,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(fields), WILD)
    def ask(field: str, value: Any) -> None:
        # This model's own parameters keep an answer short where the request's limit is what is tried.
        response = post(http, route, {"model": "small", **route.least, field: value})
        statuses.append(response.status_code)
        assert response.status_code in (200, 400, 404), (field, value, response.text)

    ask()
    assert statuses.count(400) > len(statuses) / 10, "hardly anything was wrong, so nothing was tried"
    assert set(workers) <= set(shared.workers()), "a worker was lost"
    print(f"\n{len(statuses)} requests: {sorted((s, statuses.count(s)) for s in set(statuses))}")


LENGTHS = st.integers(0, 40) | st.sampled_from([2000, 2001, 10**6, 2**31 - 1, 2**31, 2**63, 10**30, -1, 0.5, 1e300])
FORMS = st.one_of(
    st.fixed_dictionaries({"type": st.just("string")}, optional={"minLength": LENGTHS, "maxLength": LENGTHS}),
    st.fixed_dictionaries(
        {"type": st.just("array"), "items": st.just({"type": "integer"})},
        optional={"minItems": LENGTHS, "maxItems": LENGTHS},
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional=dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), EDGES | LENGTHS),
    ),
    st.builds(lambda count: {"type": "string", "pattern": f"^a{{{count}}}$"}, LENGTHS),
    st.builds(lambda value: {"enum": [value]}, EDGES),
)


def test_numbers_in_a_schema_do_not_reach_the_engine_unbounded(shared: JanServer, full_counts: bool) -> None:
    (http, workers), statuses, slowest = warm(shared, ROUTES[0]), [], 0.0

    @settings(
        max_examples=1000 if full_counts else 60,
        deadline=None,
        database=None,
        derandomize=not full_counts,
        suppress_health_check=list(HealthCheck),
    )
    @given(FORMS)
    def ask(form: dict[str, Any]) -> None:
        nonlocal slowest
        schema = {"type": "object", "properties": {"x": form}, "required": ["x"], "additionalProperties": False}
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
        began = time.monotonic()
        response = post(
            http, ROUTES[0], {"model": MODEL, **ROUTES[0].least, "max_tokens": 3, "response_format": wanted}
        )
        slowest = max(slowest, time.monotonic() - began)
        statuses.append(response.status_code)
        assert response.status_code in (200, 400), (form, response.text)
        if response.status_code == 400:
            assert response.json()["error"]["param"].startswith("response_format"), (form, response.text)

    ask()
    assert statuses.count(200) > len(statuses) / 10, "too few reached the engine to tell anything"
    assert set(workers) <= set(shared.workers()), "a worker was lost"
    print(
        f"\n{len(statuses)} schemas: {statuses.count(200)} answered, {statuses.count(400)} refused, 0 crashes; "
        f"the slowest after {slowest:.1f} s"
    )
