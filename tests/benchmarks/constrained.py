"""Speed of answers that a JSON schema binds, against llama.cpp's own HTTP server bound by the same schema."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.client import chat, stream
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import MODEL, Server
from tests.benchmarks.stream import servers, together

ABOUT = "one stream bound by a JSON schema, tokens/s; against llama.cpp's own HTTP server"
TOKENS = 192
"""Tokens of an answer: fewer than the shortest list that the schema allows."""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "orders": {
            "type": "array",
            "minItems": 60,
            "items": {
                "type": "object",
                "properties": {
                    "product": {"type": "string", "enum": ["bread", "butter", "honey", "milk"]},
                    "amount": {"type": "integer"},
                    "paid": {"type": "boolean"},
                },
                "required": ["product", "amount", "paid"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["orders"],
    "additionalProperties": False,
}


def run(bench: Bench) -> list[Row]:
    """The one figure. An answer's text may differ between the two: each side makes its own grammar of the schema."""
    form = {"type": "json_schema", "json_schema": {"name": "orders", "strict": True, "schema": SCHEMA}}

    def one(server: Server, number: int) -> float:
        asked = chat(MODEL, f"{number}: list orders of a bakery.", TOKENS, response_format=form)
        return together(stream(server.port, [asked]), TOKENS)

    with servers(bench) as (jan, theirs):
        for server in (jan, theirs):
            one(server, 1000)
        pairs = bench.pairs(lambda number: one(jan, number), lambda number: one(theirs, number))
    return [pairs.row("an answer in JSON by schema, tokens/s, ratio to llama.cpp's server", 0.95, unit="/s")]
