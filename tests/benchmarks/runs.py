"""Runs: against a plain chat with the same prompt, in a long thread against a short one, with a tool and without."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import runs_at_once
from tests.benchmarks.client import Connection, Streamed, chat, post, stream
from tests.benchmarks.common import Bench, Pairs, Row
from tests.benchmarks.conversations import make_threads
from tests.benchmarks.processes import MODEL, Server, jan_serve, reference, serving, smollm2
from tests.benchmarks.stream import ENDLESS, FIRST_PAIRS, TOKENS, together

ABOUT = "runs: speed and first delta against a plain chat; creation in a long thread; an own tool; 50 at once"
LONG, SHORT = 10_000, 20
"""Messages of the threads in which runs are created."""
THREADS = 8
"""Threads of either kind that take turns: each run adds its answer to one."""
BLOCK = 40
"""Runs of each kind behind one pair of latencies, alternating."""
PAIRS = 12
BEGUN = 8
"""Tokens of the answers whose first delta is waited for: the engine goes on while the run stores that it has begun."""
TOOL_PAIRS = 60
CODE = '''
import json


def look_up(place: str) -> str:
    """Tells how the weather is somewhere.

    Args:
        place: where.
    """
    return json.dumps({"say": ["It ", "rains ", f"in {place}."]})
'''
"""An assistant's own tool. What it gives is the script of the answer that follows."""
CALLING = {"call": [{"name": "look_up", "arguments": {"place": "Bergen"}}]}
SAYING = {"say": ["It ", "rains ", "in Bergen."]}
"""The scripts of an answer that calls it, and of one that says at once what it gives."""


def run(bench: Bench) -> list[Row]:
    """Eight figures."""
    return [*_spoken(bench), *_created(bench), _called(bench), *runs_at_once.run(bench)]


def begin(thread: str, **settings: Any) -> bytes:
    """The request for a run of the assistant `jan`, with its events."""
    return post(f"/v1/threads/{thread}/runs", {"assistant_id": "jan", "stream": True, **settings})


def new_thread(server: Server, text: str, **fields: Any) -> str:
    """Make a thread with one message of a user; returns its id."""
    connection = Connection(server.port)
    body = {"messages": [{"role": "user", "content": text}], **fields}
    made = json.loads(connection.ask(post("/v1/threads", body)))
    connection.close()
    return str(made["id"])


def _spoken(bench: Bench) -> list[Row]:
    """The real model: a run against a chat, in the same server.

    For the first delta all prompts are the same one. So the engine has it in its cache, for either side, and its own
    work, whose noise would hide what a run adds, is as short as it can be. The thread is made just before.
    """

    def run_of(text: str, tokens: int) -> Streamed:
        thread = new_thread(jan, text, parameters={**ENDLESS, "max_tokens": tokens})
        asked = begin(thread, model=MODEL, temperature=0)
        return stream(jan.port, [asked])[0]

    def chat_of(text: str, tokens: int) -> Streamed:
        return stream(jan.port, [chat(MODEL, text, tokens, **ENDLESS)])[0]

    def first(found: Streamed) -> float:
        return (found.first - found.sent) * 1000

    with serving(jan_serve(_root(bench)), bench.folder / "jan.log") as jan:
        for _ in range(4):
            run_of("Say hello.", BEGUN), chat_of("Say hello.", BEGUN)
        bench.say("one run, one chat")
        speed = bench.pairs(
            lambda number: together([run_of(f"{1000 + number}: tell a story.", TOKENS)], TOKENS),
            lambda number: together([chat_of(f"{2000 + number}: tell a story.", TOKENS)], TOKENS),
        )
        bench.say("first delta")
        begun = bench.pairs(
            lambda _: first(run_of("Say hello.", BEGUN)),
            lambda _: first(chat_of("Say hello.", BEGUN)),
            FIRST_PAIRS,
        )
    return [
        speed.row("a run, tokens/s, ratio to a plain chat", 0.95, unit="/s"),
        begun.row("a run: time to first delta, more than a plain chat", 10, unit=" ms", ratio=False, at_least=False),
    ]


def _root(bench: Bench) -> Path:
    """A root of its own with the real model, so that the threads are gone afterwards."""
    root = bench.folder / "spoken"
    folder = root / "models" / MODEL
    folder.mkdir(parents=True)
    weights = next((smollm2() / "models" / MODEL).glob("*.gguf")).resolve()
    (folder / weights.name).symlink_to(weights)
    return root


def _created(bench: Bench) -> list[Row]:
    """The creation of a run that reads the newest 20 messages, in long threads and short ones."""
    root = bench.folder / "created"
    bench.say(f"writing threads of {LONG} messages")
    long = make_threads(root, THREADS, LONG)
    short = make_threads(root, THREADS, SHORT, first=THREADS)
    settings = {
        "model": "scripted",
        "truncation_strategy": {"type": "last_messages", "last_messages": 20},
        "additional_messages": [{"role": "user", "content": "one two"}],
    }
    blocks: list[list[list[Streamed]]] = []
    with serving(reference("running", str(root)), bench.folder / "created.log") as jan:

        def runs_in(threads: Sequence[str], turn: int) -> Streamed:
            return stream(jan.port, [begin(threads[turn % THREADS], **settings)])[0]

        for turn in range(2 * THREADS):
            runs_in(long, turn), runs_in(short, turn)
        for number in range(bench.count(PAIRS)):
            block: list[list[Streamed]] = [[], []]
            for turn in range(BLOCK):
                for side in (0, 1) if (turn + number) % 2 else (1, 0):
                    block[side].append(runs_in(short if side else long, turn))
            blocks.append(block)
            middle = [statistics.median(one.answered - one.sent for one in side) * 1000 for side in block]
            bench.say(f"block {number + 1}: long {middle[0]:.2f} ms, short {middle[1]:.2f} ms")
    rows = []
    for what, name in (("create a run", "answered"), ("a run to its first delta", "first")):
        sides = [
            [statistics.median(getattr(one, name) - one.sent for one in block[side]) * 1000 for block in blocks]
            for side in (0, 1)
        ]
        named = f"{what} at {LONG:,} messages, ratio to at {SHORT}"
        rows.append(Pairs(*sides).row(named, 1.2, unit=" ms", at_least=False))
    return rows


def _called(bench: Bench) -> Row:
    """A run that calls an own tool of its assistant once and answers then, against one that answers at once.

    So the figure has all that such a call costs: the storing of its step, the call itself, and a further answer.
    """
    root = bench.folder / "called"
    index = root / "assistants" / "jan" / "src" / "index.py"
    index.parent.mkdir(parents=True)
    index.write_text(CODE)
    with serving(reference("running", str(root)), bench.folder / "called.log") as jan:

        def took(script: dict[str, Any]) -> float:
            thread = new_thread(jan, json.dumps(script))
            (found,) = stream(jan.port, [begin(thread, model="scripted")])
            return (found.ended - found.sent) * 1000

        for _ in range(5):
            took(CALLING), took(SAYING)
        bench.say("a run with a call, and one without")
        pairs = bench.pairs(lambda _: took(CALLING), lambda _: took(SAYING), TOOL_PAIRS)
    return pairs.row("an own tool in Python, added to a run", 5, unit=" ms", ratio=False, at_least=False)
