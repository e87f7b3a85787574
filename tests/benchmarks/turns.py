"""The second turn of a long conversation: how much of its prompt is evaluated, by the engine's own count."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmarks.client import Connection, post
from tests.benchmarks.common import Bench, Row
from tests.benchmarks.processes import MODEL, Server, jan_serve, serving, smollm2

ABOUT = "the second turn of a conversation of 4,000 tokens: tokens evaluated besides the new ones"
CONTEXT = 5120
"""Tokens; the real model can do 8192."""
LONG = 4000
"""Tokens of the first turn's prompt, at least."""
ANSWER = 24
WORDS = 4000
ROUNDS = 3
SPARE = 8
"""Tokens that may be evaluated again where the old text and the new one meet."""
SECONDS = 600.0
"""Longest wait for an answer: on a busy machine thousands of tokens are read for minutes."""


def run(bench: Bench) -> list[Row]:
    """The one figure, a count: the worst of some conversations. Others are answered between the two turns of each."""
    root = bench.folder / "root"
    folder = root / "models" / MODEL
    folder.mkdir(parents=True)
    weights = next((smollm2() / "models" / MODEL).glob("*.gguf")).resolve()
    (folder / weights.name).symlink_to(weights)
    (folder / "model.json").write_text(json.dumps({"settings": {"ctx_len": CONTEXT}}))
    rounds = 1 if bench.quick else ROUNDS
    with serving(jan_serve(root), bench.folder / "jan.log") as jan:
        counts = [_evaluated(bench, jan, number) for number in range(rounds)]
    of = f"{rounds} conversations; new: {', '.join(str(new) for _, new in counts)} tokens"
    values = [again for again, _ in counts]
    what = "second turn after 4,000 tokens: old tokens evaluated again"
    return [Row(what, max(values), min(values), max(values), SPARE, " tokens", at_least=False, of=of)]


def _evaluated(bench: Bench, jan: Server, number: int) -> tuple[int, int]:
    """Have a conversation; returns how many tokens of the second turn were evaluated besides the new, and those."""
    words = " ".join(("bread", "butter", "honey", "milk")[each % 4] for each in range(number, number + WORDS))
    turns: list[dict[str, str]] = [{"role": "user", "content": f"Conversation {number}. {words}. What is it about?"}]
    first = _ask(jan, turns)
    usage = first["usage"]
    if usage["prompt_tokens"] < LONG:
        raise RuntimeError(f"the first turn has {usage['prompt_tokens']} tokens, not {LONG}")
    for other in range(2):
        _ask(jan, [{"role": "user", "content": f"Another conversation, {number} {other}. Say hello."}])
    answer = first["choices"][0]["message"]["content"]
    turns += [{"role": "assistant", "content": answer}, {"role": "user", "content": "And in one word?"}]
    second = _ask(jan, turns)["usage"]
    evaluated = second["prompt_tokens"] - second["prompt_tokens_details"]["cached_tokens"]
    new = second["prompt_tokens"] - usage["prompt_tokens"] - usage["completion_tokens"]
    bench.say(f"{usage['prompt_tokens']} tokens, then {second['prompt_tokens']}, of which {evaluated} were evaluated")
    return evaluated - new, new


def _ask(jan: Server, messages: list[dict[str, str]]) -> dict[str, Any]:
    connection = Connection(jan.port, SECONDS)
    body = {"model": MODEL, "messages": messages, "max_tokens": ANSWER, "temperature": 0}
    found: dict[str, Any] = json.loads(connection.ask(post("/v1/chat/completions", body)))
    connection.close()
    return found
