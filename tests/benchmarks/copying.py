"""`jan copy` of messages from the folder into PostgreSQL, against psql's `\\copy` of the same rows."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import psycopg
from jan_postgresql.own_server import OwnServer, programs

from tests.benchmarks.common import Bench, Row
from tests.benchmarks.messages import BODY
from tests.benchmarks.processes import environment, python

ABOUT = "copying: jan copy of 200,000 messages into PostgreSQL, against psql's \\copy of the same rows"
THREADS, EACH = 200, 1000
ROWS = THREADS * EACH
PAIRS = 5
CONFIG = """
[endpoints]
assistants = "assistants-json"
threads = "threads-json"
messages = "messages-json"
[jan-postgresql]
dsn = {dsn}
"""
FLAT = 1.2
"""How much more memory ten times as many messages may take."""


def run(bench: Bench) -> list[Row]:
    """Two figures."""
    server = OwnServer(bench.folder / "postgresql")
    server.start()
    try:
        root, few = bench.folder / "root", bench.folder / "few"
        bench.say(f"writing {ROWS} messages in {THREADS} threads")
        _write(root, server.dsn, THREADS)
        _write(few, server.dsn, THREADS // 10)
        _copy(few, "messages")  # makes the tables
        rows = bench.folder / "rows"
        peaks: dict[Path, list[float]] = {root: [], few: []}

        def jan(_: int) -> float:
            _emptied(server.dsn, "jan.messages")
            seconds, peak = _copy(root, "messages")
            peaks[root].append(peak)
            return ROWS / seconds

        jan(0)
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("CREATE TABLE bare (LIKE jan.messages INCLUDING ALL)")
            with rows.open("wb") as file, connection.cursor().copy("COPY jan.messages TO STDOUT") as pieces:
                for piece in pieces:
                    file.write(piece)

        def psql(_: int) -> float:
            _emptied(server.dsn, "bare")
            command = [str(programs() / "psql"), "-q", server.dsn, "-c", f"\\copy bare from '{rows}'"]
            begun = time.monotonic()
            subprocess.run(command, check=True)
            return ROWS / (time.monotonic() - begun)

        what = f"jan copy of {ROWS:,} messages into PostgreSQL, rows/s, ratio to psql's \\copy"
        row = bench.pairs(jan, psql, PAIRS).row(what, 0.3, unit=" rows/s")
        _emptied(server.dsn, "jan.messages")
        for _ in peaks[root]:
            peaks[few].append(_copy(few, "messages")[1])
            _emptied(server.dsn, "jan.messages")
        ratios = sorted(many / less for many, less in zip(peaks[root], peaks[few], strict=True))
        middle = ratios[len(ratios) // 2]
        of = f"{len(ratios)} pairs; peak {max(peaks[root]):.0f} MiB"
        what = f"memory of jan copy, {ROWS:,} messages, ratio to {ROWS // 10:,}"
        return [row, Row(what, middle, ratios[0], ratios[-1], FLAT, at_least=False, of=of)]
    finally:
        server.leave()


def _write(root: Path, dsn: str, threads: int) -> None:
    root.mkdir()
    (root / "jan.toml").write_text(CONFIG.format(dsn=json.dumps(dsn)))
    part = {"type": "text", "text": {"value": BODY["content"], "annotations": []}}
    for number in range(threads):
        id = f"jan-{1_790_000_000 + number}-0123456789abcd"
        folder = root / "threads" / id
        folder.mkdir(parents=True)
        (folder / "thread.json").write_text(json.dumps({"created_at": 1_790_000_000 + number}))
        lines = [
            json.dumps(
                {
                    "id": f"msg_{number:06}{one:018}",
                    "object": "thread.message",
                    "created_at": one,
                    "thread_id": id,
                    "status": "completed",
                    "incomplete_details": None,
                    "completed_at": one,
                    "incomplete_at": None,
                    "role": "user",
                    "content": [part],
                    "assistant_id": None,
                    "run_id": None,
                    "attachments": [],
                    "metadata": {},
                },
                separators=(",", ":"),
            )
            for one in range(EACH)
        ]
        (folder / "messages.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def _copy(root: Path, what: str) -> tuple[float, float]:
    """Seconds that it took, and MiB that it had at most."""
    code = (
        "import resource, sys; from jan_core.cli import main\n"
        "try: main()\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stdout)"
    )
    command = [*python("-c", code), "copy", what, "json", "postgresql", "--root", str(root)]
    begun = time.monotonic()
    done = subprocess.run(command, check=True, env=environment(), capture_output=True, text=True)
    return time.monotonic() - begun, float(done.stdout.splitlines()[-1])


def _emptied(dsn: str, name: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {name}".encode())
        connection.execute("CHECKPOINT")
